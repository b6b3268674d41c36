"""The style sheet of a report: readable measure, light and dark, good on paper."""

from __future__ import annotations

CSS = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1d2127; --soft: #5b6470; --line: #d9dde3;
  --link: #0b5c94;
  --reproduced: #0a6e4e; --refuted: #b0420a; --inconclusive: #5b6470;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --ink: #e3e6ea; --soft: #9aa4b0; --line: #343a42;
    --link: #7cbcec;
    --reproduced: #4fc79d; --refuted: #f08a4b; --inconclusive: #a3acb8;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.6 Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia, serif;
}
main { max-width: 64rem; margin: 0 auto; padding: 3.5rem 1.5rem 5rem; }
header, section > p, section > h2, nav { max-width: 43rem; }
h1, h2, nav, table, figcaption, caption, .finding, .tally {
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1 { font-size: 1.95rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
.subtitle { color: var(--soft); font-size: 1.1rem; margin: 0; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 3.2rem 0 .8rem; }
h2 .number { color: var(--soft); font-weight: 500; margin-right: .6em; }
p { margin: 0 0 1em; }
.lead { margin-top: 2rem; }
a { color: var(--link); }
nav { margin: 2rem 0 0; padding: .9rem 0; border: solid var(--line); border-width: 1px 0; }
nav ol { margin: 0; padding: 0; list-style: none; font-size: .88rem; line-height: 1.8; }
nav .number { color: var(--soft); display: inline-block; min-width: 1.8em; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
figure { margin: 2rem 0; }
figure img {
  display: block; max-width: 100%; height: auto; background: #fff; border-radius: 3px;
}
figcaption, caption { color: var(--soft); font-size: .84rem; line-height: 1.5; text-align: left; }
figcaption { margin-top: .7rem; max-width: 43rem; }
figcaption b, caption b { color: var(--ink); font-weight: 600; }
.table { overflow-x: auto; margin: 2rem 0; }
table { border-collapse: collapse; font-size: .84rem; line-height: 1.4; }
caption { caption-side: top; padding-bottom: .6rem; max-width: 43rem; }
th, td { padding: .38rem 1.4rem .38rem 0; text-align: left; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
thead th { border: solid var(--ink); border-width: 1.5px 0 1px; font-weight: 600; }
tbody tr + tr td { border-top: 1px solid var(--line); }
tbody tr:last-child td { border-bottom: 1.5px solid var(--ink); }
.numeric { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.muted { color: var(--soft); }
.tally { font-size: .88rem; color: var(--soft); }
.finding { border-top: 1px solid var(--line); padding: 1rem 0 1.1rem; max-width: 52rem; }
.finding .head { display: flex; gap: .9rem; align-items: baseline; }
.finding .claim { font-weight: 600; font-size: .95rem; line-height: 1.45; margin: 0; }
.chip {
  flex: none; min-width: 7.6rem; text-align: center; font-size: .74rem; font-weight: 600;
  line-height: 1; padding: .34rem .6rem; border-radius: 999px; border: 1px solid currentColor;
}
.chip.reproduced { color: var(--reproduced); }
.chip.refuted { color: var(--refuted); }
.chip.inconclusive { color: var(--inconclusive); border-style: dashed; }
.finding dl {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .2rem 1.5rem;
  margin: .7rem 0 0 8.5rem; font-size: .84rem; line-height: 1.4;
}
.finding dt { color: var(--soft); font-size: .76rem; }
.finding dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.finding .statistic { margin: .5rem 0 0 8.5rem; font-size: .86rem; }
.finding .source { margin: .6rem 0 0 8.5rem; color: var(--soft); font-size: .8rem; }
@media (max-width: 40rem) {
  main { padding-top: 2rem; }
  .finding .head { flex-direction: column; gap: .5rem; }
  .finding dl, .finding .statistic, .finding .source { margin-left: 0; }
}
@media print {
  :root {
    --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --link: #000;
    --reproduced: #0a6e4e; --refuted: #b0420a; --inconclusive: #444;
  }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  h2 { break-after: avoid; }
  figure, .finding, tr { break-inside: avoid; }
  .table { overflow: visible; }
}
"""
