"""A finding, or a whole campaign, for people who have never heard of this fuzzer: text to file, pages to look at.

`sections` says what there is to say, once; `markdown`, `github` and `page` only lay it out. Nothing is executed here.
"""
