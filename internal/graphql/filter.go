package graphql

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// What a filter may hold at most, as AppSync has it where it says so.
const (
	maxFilterGroups = 10
	maxFilterRules  = 10 // in a group
	maxFilterPath   = 5  // names of a nested field
	maxFilterName   = 256
	maxFilterIn     = 5  // values of in and notIn
	maxFilterAny    = 20 // values of containsAny
)

// A Filter decides which events a subscriber gets, or whose subscription ends. The
// nil Filter matches everything.
type Filter struct {
	groups [][]filterRule // any of them, all of whose rules match
}

type filterRule struct {
	path     []string
	operator string
	value    Value
}

// FilterEqual compares each member of an object with the field of its name. Null
// matches null and absent. No members match everything.
func FilterEqual(fields Value) *Filter {
	if fields.Len() == 0 {
		return nil
	}
	var rules []filterRule
	for name, v := range fields.All() {
		rules = append(rules, filterRule{path: []string{name}, operator: "eq", value: v})
	}
	return &Filter{groups: [][]filterRule{rules}}
}

// ParseFilter reads what setSubscriptionFilter takes:
//
//	{"filterGroup":[{"filters":[{"fieldName":"a.b","operator":"eq","value":1}]}]}
func ParseFilter(v Value) (*Filter, error) {
	groups := v.Get("filterGroup")
	if groups.kind != KindList || groups.Len() == 0 {
		return nil, fmt.Errorf("graphql: a filter needs a filterGroup: a list with at least one member")
	}
	if groups.Len() > maxFilterGroups {
		return nil, fmt.Errorf("graphql: a filter has at most %d groups", maxFilterGroups)
	}
	f := &Filter{}
	for _, g := range groups.All() {
		filters := g.Get("filters")
		if filters.kind != KindList || filters.Len() == 0 || filters.Len() > maxFilterRules {
			return nil, fmt.Errorf("graphql: a group of a filter needs filters: a list of one to %d", maxFilterRules)
		}
		var rules []filterRule
		for _, r := range filters.All() {
			rule, err := parseRule(r)
			if err != nil {
				return nil, err
			}
			rules = append(rules, rule)
		}
		f.groups = append(f.groups, rules)
	}
	return f, nil
}

func parseRule(v Value) (filterRule, error) {
	name := v.Get("fieldName").Text()
	r := filterRule{path: strings.Split(name, "."), operator: v.Get("operator").Text(), value: v.Get("value")}
	if name == "" || len(name) > maxFilterName || len(r.path) > maxFilterPath || slices.Contains(r.path, "") {
		return r, fmt.Errorf("graphql: a filter's fieldName is a field, or up to %d of them with dots between, not %q", maxFilterPath, name)
	}
	if err := r.checkValue(); err != nil {
		return r, fmt.Errorf("graphql: the filter on %s: %w", name, err)
	}
	return r, nil
}

// checkValue holds the value to what the operator takes.
func (r *filterRule) checkValue() error {
	ordered := r.value.kind == KindNumber || r.value.kind == KindString
	switch r.operator {
	case "eq", "ne":
		if !ordered && r.value.kind != KindBool && r.value.kind != KindNull {
			return fmt.Errorf("%s takes a string, a number or a boolean", r.operator)
		}
	case "le", "lt", "ge", "gt":
		if !ordered {
			return fmt.Errorf("%s takes a string or a number", r.operator)
		}
	case "contains", "notContains":
		if !ordered && r.value.kind != KindBool {
			return fmt.Errorf("%s takes a string, a number or a boolean", r.operator)
		}
	case "beginsWith":
		if r.value.kind != KindString {
			return fmt.Errorf("beginsWith takes a string")
		}
	case "in", "notIn":
		return r.checkList(1, maxFilterIn)
	case "containsAny":
		return r.checkList(1, maxFilterAny)
	case "between":
		if err := r.checkList(2, 2); err != nil {
			return err
		}
		if a, b := r.value.Index(0).kind, r.value.Index(1).kind; a != b || a == KindBool {
			return fmt.Errorf("between takes two numbers or two strings")
		}
	default:
		return fmt.Errorf("there is no operator %q", r.operator)
	}
	return nil
}

func (r *filterRule) checkList(least, most int) error {
	if r.value.kind != KindList || r.value.Len() < least || r.value.Len() > most {
		return fmt.Errorf("%s takes a list of %d to %d values", r.operator, least, most)
	}
	for _, v := range r.value.All() {
		if v.kind != KindNumber && v.kind != KindString && v.kind != KindBool {
			return fmt.Errorf("%s takes strings, numbers and booleans", r.operator)
		}
	}
	return nil
}

// Match reports whether the filter lets an event pass.
func (f *Filter) Match(event Value) bool {
	if f == nil {
		return true
	}
	for _, rules := range f.groups {
		all := true
		for i := range rules {
			if !rules[i].match(&event) {
				all = false
				break
			}
		}
		if all {
			return true
		}
	}
	return false
}

func (r *filterRule) match(event *Value) bool {
	v := event
	for _, name := range r.path {
		if v = v.member(name); v == nil {
			v = &absent
			break
		}
	}
	switch r.operator {
	case "eq":
		return r.isEqual(v)
	case "ne":
		return !r.isEqual(v)
	case "notContains":
		return !contains(v, &r.value)
	case "notIn":
		return !isOneOf(v, &r.value)
	case "in":
		return isOneOf(v, &r.value)
	case "contains":
		return contains(v, &r.value)
	case "containsAny":
		return slices.ContainsFunc(r.value.items, func(m Member) bool { return contains(v, &m.Value) })
	case "beginsWith":
		return v.kind == KindString && strings.HasPrefix(v.text, r.value.text)
	case "between":
		low, okLow := compare(v, &r.value.items[0].Value)
		high, okHigh := compare(v, &r.value.items[1].Value)
		return okLow && okHigh && low >= 0 && high <= 0
	}
	order, ok := compare(v, &r.value)
	switch {
	case !ok:
		return false
	case r.operator == "le":
		return order <= 0
	case r.operator == "lt":
		return order < 0
	case r.operator == "ge":
		return order >= 0
	}
	return order > 0 // gt
}

// isEqual takes what is absent for null.
func (r *filterRule) isEqual(v *Value) bool {
	if r.value.IsNull() {
		return v.IsNull()
	}
	return v.equal(r.value)
}

// compare orders two numbers or two strings; nothing else has an order.
func compare(a, b *Value) (int, bool) {
	if a.kind == KindString && b.kind == KindString {
		return strings.Compare(a.text, b.text), true
	}
	m, okM := a.Int() // exact, also where a float is not
	n, okN := b.Int()
	if okM && okN {
		return cmp.Compare(m, n), true
	}
	x, okX := a.number()
	y, okY := b.number()
	return cmp.Compare(x, y), okX && okY
}

// contains reports whether a list has an element, or a string a part.
func contains(v, part *Value) bool {
	if v.kind == KindString && part.kind == KindString {
		return strings.Contains(v.text, part.text)
	}
	return v.kind == KindList && isOneOf(part, v)
}

func isOneOf(v, list *Value) bool {
	return slices.ContainsFunc(list.items, func(m Member) bool { return m.Value.equal(*v) })
}
