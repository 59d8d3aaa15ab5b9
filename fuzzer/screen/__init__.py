"""What a person sees of a campaign: the live screen and the triage screen, both drawn from snapshots."""
