package gqlapi

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// segment is what a channel is made of.
var segment = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,48}[A-Za-z0-9])?$`)

// ValidSegment reports whether s may be a segment of a channel's name.
func ValidSegment(s string) bool { return segment.MatchString(s) }

func modes() []string {
	return []string{"API_KEY", "AWS_IAM", "AMAZON_COGNITO_USER_POOLS", "OPENID_CONNECT", "AWS_LAMBDA"}
}

const (
	maxGroup    = 1000
	maxInterval = time.Minute
)

// Validate says what is wrong with an API, but for what only its schema can tell.
func Validate(a API) error {
	if a.Auth != "" && !slices.Contains(modes(), a.Auth) {
		return fmt.Errorf(".auth: %q is none of %s", a.Auth, strings.Join(modes(), ", "))
	}
	if a.GroupInterval < 0 || a.GroupInterval > maxInterval {
		return fmt.Errorf(".group_interval: must be between 0s and %s", maxInterval)
	}
	for i, b := range a.Fields {
		if err := b.validate(); err != nil {
			return fmt.Errorf(".fields[%d]%w", i, err)
		}
	}
	return nil
}

func (b Binding) validate() error {
	if parent, field, ok := strings.Cut(b.Field, "."); !ok || parent == "" || field == "" {
		return errors.New(".field: write it like Mutation.sendMessage")
	}
	if b.Session != "" && b.Fixed != "" {
		return errors.New(": session is the path of an argument and fixed a name: one of them")
	}
	if b.Group < 0 || b.Group > maxGroup {
		return fmt.Errorf(".group: must be between 0 and %d", maxGroup)
	}
	for i, end := range b.Invalidate {
		if end.Subscription == "" || strings.Contains(end.Subscription, ".") {
			return fmt.Errorf(".invalidate[%d].subscription: write it like onSendMessage", i)
		}
		if !strings.HasPrefix(strings.TrimSpace(end.Payload), "{") {
			return fmt.Errorf(".invalidate[%d].payload: must be an object of the arguments whose subscriptions end", i)
		}
	}
	named := b.Session != "" || b.Fixed != ""
	switch b.Do {
	case Submit:
		if b.Text == "" {
			return errors.New(": text must name the argument that is the prompt")
		}
	case Publish:
		if b.Text == "" || !named {
			return errors.New(": text and session must name the arguments that are the piece and its session")
		}
	case View:
		if !named || b.Result == "" {
			return errors.New(": session must name the argument that is the session, and result say what subscribers get")
		}
	case Events, Session:
		if !named {
			return errors.New(": session must name the argument that is the session")
		}
	case Filter:
		if b.Result == "" {
			return errors.New(": result must be the filter")
		}
	case Cancel:
		if b.Text == "" {
			return errors.New(": text must name the argument that is the generation")
		}
	case HTTP:
		if u, err := url.Parse(b.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf(".url: %q is not an http or https address", b.URL)
		}
	case Function:
		if b.Function == "" {
			return errors.New(": function must name one of the functions")
		}
	case Constant:
	default:
		return fmt.Errorf(".do: %q is none of %s", b.Do,
			strings.Join([]string{Submit, Publish, View, Events, Filter, Cancel, Session, HTTP, Function, Constant}, ", "))
	}
	return nil
}

// ValidateNamespaces says what is wrong with namespaces.
func ValidateNamespaces(all []Namespace) error {
	seen := make(map[string]bool)
	for i, n := range all {
		if !ValidSegment(n.Name) {
			return fmt.Errorf("[%d].name: %q: a name has 1 to 50 letters, digits and hyphens, and no hyphen at its ends", i, n.Name)
		}
		if seen[n.Name] {
			return fmt.Errorf("[%d].name: %s is there twice", i, n.Name)
		}
		seen[n.Name] = true
		for _, mode := range append(slices.Clone(n.Publish), n.Subscribe...) {
			if !slices.Contains(modes(), mode) {
				return fmt.Errorf("[%d]: %q is none of %s", i, mode, strings.Join(modes(), ", "))
			}
		}
	}
	return nil
}
