"""One file a study: what is asked, what is swept, what counts as an answer."""
