"""What of the customers' values a byte search finds in a data directory: those that were told to be found, the
canaries, each with a text that stands nowhere else, and those of which nothing may be left."""


class Canaries:
    """Collects them while a directory is filled."""

    def __init__(self):
        self.clear, self.erased = [], []

    def of(self, what, text):
        """The text, which will be found in clear."""
        return self._note(self.clear, what, text)

    def erased_of(self, what, text):
        """The text, of which nothing will be left."""
        return self._note(self.erased, what, text)

    def _note(self, notes, what, text):
        known = [one["text"] for one in self.clear + self.erased]
        assert not any(text in one or one in text for one in known), f"{text} stands for something else"
        notes.append({"what": what, "text": text})
        return text

    def told(self):
        return {"clear": self.clear, "erased": self.erased}


def found_in(directory, canaries):
    """What those are whose texts stand in any file of this directory."""
    files = [path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()]
    return [one["what"] for one in canaries if any(one["text"].encode() in file for file in files)]
