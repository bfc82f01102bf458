//! The ledger: entries, the state that they fold into, and the fold itself.
