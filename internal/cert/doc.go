// Package cert keeps the certificate that the port shows.
//
//   - store.go: certificate and key from files, taken up again when they change;
//     a pair that cannot be used leaves the present one in place
//   - develop.go: a certificate for development, and the authority to trust for it
package cert
