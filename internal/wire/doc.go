// Package wire turns events into the one line of JSON that clients see and the
// log stores, and back. It is the only encoder of event bodies; the format is
// documented in docs/events.md and held by the golden files in testdata.
//
// Every body is an object that begins with the format's version, the event's
// type, and the generation and attempt that it belongs to:
//
//	{"v":1,"type":"delta","generation":"01J…","attempt":1,"text":"Hel"}
//
// New members may be added within a version; readers ignore those that they do
// not know.
package wire
