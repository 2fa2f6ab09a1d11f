// Package settings reads the settings that ride behind a model's name like a
// query, as in echo?ttft=100ms&tps=50. Each provider names its own; a setting
// that it does not know, has twice or cannot read is an Invalid error that
// lists the ones it knows, so that a typing error never passes for a default.
package settings
