"""What a case is taken to be worth."""

from fuzzer.guidance.worth import Worth


def test_a_fruitful_word_is_worth_more_than_a_barren_one():
    worth = Worth()
    for i in range(200):
        worth.learn(["op:rich/float32"] if i % 2 else ["op:poor/float32"], 4.0 if i % 2 else 0.0)
    assert worth.of(["op:rich/float32"]) > 3.0 > 1.0 > worth.of(["op:poor/float32"])


def test_what_gave_much_and_gives_nothing_any_more_is_forgotten():
    worth = Worth()
    for i in range(300):
        worth.learn(["op:once/float32"], 8.0 if i < 30 else 0.0)
        worth.learn(["op:ever/float32"], 1.0)
    assert worth.of(["op:once/float32"]) < worth.of(["op:ever/float32"])


def test_novelty_counts_in_families_where_it_paid():
    worth = Worth()
    for i in range(200):
        # Each new switch brings something the first time; new attribute values never do.
        worth.learn([f"switch:s{i}", "op:a/float32"], 6.0)
        worth.learn([f"attr:a/x={i}", "op:a/float32"], 0.0)
    assert worth.of(["switch:never-seen"]) > 2 * worth.of(["attr:a/x=never-seen"])


def test_an_unknown_family_is_given_a_try():
    worth = Worth()
    for _ in range(50):
        worth.learn(["op:a/float32"], 1.0)
    assert worth.of(["dynamic:a/batch"]) > worth.of(["op:a/float32"])


def test_it_never_falls_to_nothing():
    worth = Worth()
    for _ in range(500):
        worth.learn(["op:a/float32", "edge:a>b/f"], 0.0)
        worth.learn(["op:b/float32"], 2.0)
    assert worth.of(["op:a/float32", "edge:a>b/f"]) > 0
