package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// invoke is the only action that API Gateway asks a policy about.
const invoke = "execute-api:Invoke"

// A policy is the part of IAM's policy language that authorizers use.
type policy []statement

type statement struct {
	Sid      string
	Effect   string
	Action   oneOrMore[string]
	Resource oneOrMore[string]
}

// parsePolicy reads a policy document. It refuses what it does not understand:
// a condition that is overlooked makes an Allow mean more than was said.
func parsePolicy(data []byte) (policy, error) {
	var doc struct {
		Version   string
		ID        string `json:"Id"`
		Statement oneOrMore[statement]
	}
	if err := decodeStrictly(data, &doc); err != nil {
		return nil, fmt.Errorf("read policy document: %w", err)
	}
	for _, s := range doc.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, fmt.Errorf("read policy document: the effect is %.20q; it must be Allow or Deny", s.Effect)
		}
		if len(s.Action) == 0 || len(s.Resource) == 0 {
			return nil, errors.New("read policy document: a statement has no action or no resource")
		}
	}
	return policy(doc.Statement), nil
}

// allows reports whether some statement allows a resource, and none denies it.
func (p policy) allows(resource string) bool {
	allowed := false
	for _, s := range p {
		if !s.covers(resource) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s statement) covers(resource string) bool {
	return slices.ContainsFunc(s.Action, func(pattern string) bool {
		return matches(strings.ToLower(pattern), strings.ToLower(invoke))
	}) && slices.ContainsFunc(s.Resource, func(pattern string) bool { return matches(pattern, resource) })
}

// matches compares text to a pattern in which * stands for any characters,
// slashes too, and ? for one byte. Its time is bounded by the product of the
// lengths: it goes back to the last * only.
func matches(pattern, text string) bool {
	p, t := 0, 0
	star, resume := -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			resume++
			p, t = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// oneOrMore is a list, of which a single entry may stand without brackets.
type oneOrMore[T any] []T

// UnmarshalJSON implements [json.Unmarshaler].
func (l *oneOrMore[T]) UnmarshalJSON(data []byte) error {
	if data[0] == '[' {
		return decodeStrictly(data, (*[]T)(l))
	}
	*l = make(oneOrMore[T], 1)
	return decodeStrictly(data, &(*l)[0])
}

// decodeStrictly reads one JSON value and refuses unknown members, which the
// decoder that calls an UnmarshalJSON does not pass on.
func decodeStrictly(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
