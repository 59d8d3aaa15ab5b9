"""Examination: from a suspicion to a finding: repeated, confirmed, minimised, titled, saved with its script."""
