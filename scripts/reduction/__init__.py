"""Measures what becomes of a suspicion: planted defects reduced to their known smallest case, and titled one by one.

Every case goes through the product's own examiner, on a stack that has the defect (`scripts.defects.target`). Nothing
is recognised without being reduced, so that every case counts; what would have been recognised, and as whose, is taken
down. Scripts are not run: what a planted defect does shows nowhere but here.
"""
