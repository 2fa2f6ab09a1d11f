// Package archtest holds the module to its import rules: table_test.go says which
// package may import which, and the test compares it with what the go command
// lists. A violation is a question about the design, not about the table: an
// import that points outward usually means that a type lives in the wrong
// place, or that its consumer should declare an interface.
package archtest
