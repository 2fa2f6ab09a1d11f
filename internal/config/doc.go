// Package config turns a file, the environment and the command line into one
// validated [Config].
//
// Every setting has one name in three places: --flush-chunks,
// RUNNEL_FLUSH_CHUNKS and "flush_chunks:". Flags beat the environment, which
// beats the file, which beats the default. The fields of [Config] and their
// tags are the only list of settings: the flags, the help, the printed
// configuration and the JSON Schema of the file are all derived from it, and a
// value means the same, and is refused with the same words, wherever it comes
// from.
//
// Start at config.go for the settings; setting.go reads their tags and parses
// their values; load.go puts the layers on top of each other and file.go reads
// the file, with decode.go for what has members of its own; validate.go holds
// what one setting alone cannot say; print.go and schema.go write.
//
// A secret in the file may be a reference, env:NAME or file:PATH. Secrets are
// masked in what is printed and in the excerpts that errors show.
package config
