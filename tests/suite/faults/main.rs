//! The real engine on small real tables, while catalog and store go wrong: rows are judged by readers that share no code with it.
//!
//! Every test has a world of its own (folders, node, port), so that they run beside each other.

mod publishing;
mod site;
mod staging;
mod taking_back;
