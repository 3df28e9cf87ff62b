"""The checks of lesson 09."""

from helpers.checks.exercise import NotYet, expect_choices, expect_number, word_and_number


def check_09_1(answer):
    """Choose between two recipes by their paired differences, and say how much is sure."""
    ask = 'Give the recipe and the lower end of its gain, such as ("A", 1.5).'
    name, gain = word_and_number(answer, ("A", "B"), ask)
    if name == "A":
        raise NotYet("A gains more in the mean, but what does it do from seed to seed?")
    misconceptions = {
        2.9: "That is B's mean gain. How far down does its interval reach?",
        3.43: "That is the upper end of the interval.",
        1.23: "That takes the spread of the ten differences for that of their mean.",
        0.25: "That compares the two lists without their pairs. Take differences seed by seed.",
    }
    expect_number(gain, 2.4, misconceptions, tolerance=0.07, rel_tol=0.03)
    return "A small gain that every seed shows is surer than a larger one that some contradict."


def check_09_2(answer):
    """Work out how many seeds of two recipes show 0.03 points with a power of 80 %."""
    misconceptions = {
        31: "That is half. Both recipes vary; and with so few the gap shows in half of the tries.",
        11: "Half the gap costs four times the seeds: is something squared that was not?",
        126: "Those are the seeds of both recipes together. How many of each?",
        16: "With so few the gap shows in one try of four. Where is the 2.8, and where the 2?",
    }
    otherwise = "Put 0.060 and 0.03 into the rule of thumb: the ratio, times 2.8, is squared."
    expect_number(answer, 63, misconceptions, tolerance=6, otherwise=otherwise, rel_tol=0.05)
    return "More than sixty runs of each for 0.03 points: most small gains are never shown."


def check_09_3(quoted):
    """Tell the mean of many runs, the best of many and a single result apart."""
    right = {"a": "mean", "b": "best", "c": "one", "d": "best"}
    misconceptions = {
        "a": "thirty networks and a spread. What does the number stand for?",
        "b": 'what do the words "up to" leave out?',
        "c": "all that was trained votes. How many such committees were there?",
        "d": "there is one number for each epoch. Which one was kept, and by what?",
    }
    expect_choices(quoted, right, ("mean", "best", "one"), misconceptions)
    return "Only a mean tells what you get when you train it yourself; a best was waited for."


def check_09_4(answer):
    """Find the speed of a link at which two machines are as fast as one."""
    misconceptions = {
        1: "That is in gigabytes. How many bits has a byte?",
        1_000: "That is in megabytes a second. Give gigabits: 1 GB has 8 Gbit.",
        8_000: "That is in megabits a second. Give gigabits.",
        4: "That gives the transfer the whole step. How much time does a second machine save?",
        0.5: "That is in gigabytes, and gives the transfer the whole step.",
        16: "That sends the gradient twice. Between two machines each sends it once.",
    }
    expect_number(answer, 8, misconceptions, tolerance=0.05)
    return "What counts is bytes against the time saved, not how large the network is."
