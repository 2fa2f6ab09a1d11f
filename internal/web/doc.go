// Package web is the chat page, as it was built from the folder web of the
// repository, which needs Node. A binary that was built without it has no page,
// and everything else.
//
// A file is compressed once, when somebody first asks for it. Those
// with a hash in their names never change and may be kept for ever; the others are
// asked for anew.
package web
