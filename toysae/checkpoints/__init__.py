"""Read and write SAEs; the own format is SAELens's."""
