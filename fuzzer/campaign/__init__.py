"""The campaign: supervisor, drivers, statistics, corpus, resume."""
