// Package runnel is the vocabulary of Runnel, a gateway that streams a language
// model's answer to the people waiting for it: one durable log per session, and
// everything else a view of it.
//
// A [SessionID] names a conversation. A [Prompt] is what somebody asks in it; a
// [Generation] is one model run for one prompt; an [Event] is a numbered record
// in the session's log; a [Cursor] is the position of the last event a reader
// has seen.
//
// Four contracts hold the parts together. A transport asks [Sessions]. The core
// asks an [Engine], which is a [Log] of events, a [Queue] of prompts, a [Ledger]
// of runs and the [Pieces] that others publish, and a [Provider], which speaks
// one model vendor's API.
// Everything else, under internal/, is an adapter around these.
//
// The package imports the standard library only.
package runnel
