//! The ledger: one producer's evidence, one byte for each record, written before the send and after the report.
