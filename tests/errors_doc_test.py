"""docs/errors.md has every reason that the server can give, and no other."""
import pathlib
import re
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent
# A reason where the server makes an error: MakeError, WithReason, CodeReason.
REASON = re.compile(r'"([A-Z][A-Z]+_[A-Z_]+)"')
# Codes' own names, and words of other meaning.
OTHER = {"GRPC_VERBOSITY"}
# Its codes are causes of waiting (JobExplanation in search.proto), not errors.
EXPLANATIONS = "job_explanation.cc"


class ErrorsDocTest(unittest.TestCase):
    def test_the_table_is_complete(self):
        given = set()
        for path in (SOURCE / "server").glob("*.cc"):
            if not path.name.endswith("_test.cc") and path.name != EXPLANATIONS:
                given |= set(REASON.findall(path.read_text()))
        listed = set(re.findall(r"^\| `([A-Z_]+)` \|",
                                (SOURCE / "docs" / "errors.md").read_text(), re.MULTILINE))
        self.assertGreater(len(given), 20)
        self.assertEqual(given - OTHER, listed)


if __name__ == "__main__":
    unittest.main()
