//! The store on SQLite: the contract, and what is SQLite's alone: setting up and taking out, capture of plain SQL, cells of any type, tables
//! with minds of their own, sets and their culprits, several at once.

mod bulk;
mod capture;
mod cells;
mod composite;
mod concurrency;
mod contract;
mod foreign;
mod interleave;
mod power;
mod same;
mod setup;
mod tables;
