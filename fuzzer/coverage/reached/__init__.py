"""What the campaigns over a corpus have reached, and what not: the data, and a terminal's and a browser's view of it.

Everything comes from `features.jsonl` and the block tables: nothing is executed. `evidence` reads, `names` says what a
native function belongs to, `report` counts, `missing` says what leads to what was never reached, `text`, `plot` and
`page` draw. Import the modules by name; TensorFlow is not needed.
"""
