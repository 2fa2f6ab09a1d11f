// Package idiom has the forms in which designs in the field write an answer
// for their clients: the markers that begin and end it, JSON as Python prints it,
// fragments in groups. Doors write them, and so do the functions for AWS under
// deploy/aws; their clients compare the bytes.
package idiom
