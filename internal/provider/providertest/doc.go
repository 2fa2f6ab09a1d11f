// Package providertest is the suite that every provider passes. [Run] puts the
// provider in front of a server that speaks its vendor's format, as a [Vendor]
// describes it, and checks the contract of [runnel.Provider]: what arrives and
// in which order, what every way to fail turns into, and that nothing is left
// running when nobody reads on.
//
// It is for _test.go files only.
package providertest
