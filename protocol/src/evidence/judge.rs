//! Judges evidence: the two equations, the counts, the rules' checks. Pure; the verdict is the first difference.
