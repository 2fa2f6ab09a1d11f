package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/printer"
	"github.com/goccy/go-yaml/token"
)

// loadFile reads a YAML mapping of settings. It walks the syntax tree rather
// than decoding into the struct, so that values go through the same parser as
// those of flags and variables, and errors can show the line.
func (l *Loaded) loadFile(name string, data []byte, environ []string) error {
	l.decoder = decoder{file: name, environ: environ, places: map[string]ast.Node{}}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return syntaxError(name, err)
	}
	if len(tree.Docs) > 1 && tree.Docs[1].Body != nil {
		return fmt.Errorf("%s: the file has more than one document", name)
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return nil
	}
	entries, err := mapping(tree.Docs[0].Body)
	if err != nil {
		return fileError(name, tree.Docs[0].Body, fmt.Errorf("expected settings, such as %q", "listen: 127.0.0.1:8080"))
	}
	byKey := map[string]Setting{}
	var keys []string
	for _, s := range Settings() {
		byKey[s.Key()] = s
		keys = append(keys, s.Key())
	}
	for _, entry := range entries {
		key := entry.Key.GetToken().Value
		s, ok := byKey[key]
		if !ok {
			return fileError(name, entry.Key, errors.New(unknown("setting", key, keys)))
		}
		if s.structured() {
			if err := l.decoder.decode(key, entry.Value, s.value(&l.Config)); err != nil {
				return err
			}
		} else if err := l.setNode(s, entry.Value); err != nil {
			return fileError(name, entry.Value, fmt.Errorf("%s: %w", key, err))
		}
		l.Origins[s.Name] = fmt.Sprintf("%s:%d", name, entry.Key.GetToken().Position.Line)
	}
	return nil
}

func (l *Loaded) setNode(s Setting, node ast.Node) error {
	if s.FileOnly {
		return l.setModels(node)
	}
	texts, err := texts(node)
	if err != nil {
		return err
	}
	if _, list := node.(*ast.SequenceNode); list && !s.IsList() {
		return errors.New("it takes one value, not a list")
	}
	return s.set(&l.Config, texts)
}

func (l *Loaded) setModels(node ast.Node) error {
	entries, err := mapping(node)
	if err != nil {
		return err
	}
	l.Models = make(map[string][]string, len(entries))
	for _, entry := range entries {
		name := entry.Key.GetToken().Value
		specs, err := texts(entry.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if l.Models[name] = splitList(specs); len(l.Models[name]) == 0 {
			return fmt.Errorf("%s: the route has no model", name)
		}
	}
	return nil
}

func mapping(node ast.Node) ([]*ast.MappingValueNode, error) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, nil
	}
	return nil, errors.New("expected names with their values")
}

// texts returns a scalar, or a sequence of scalars, as the user wrote them.
func texts(node ast.Node) ([]string, error) {
	switch n := node.(type) {
	case *ast.SequenceNode:
		var all []string
		for _, item := range n.Values {
			text, err := scalar(item)
			if err != nil {
				return nil, err
			}
			all = append(all, text)
		}
		return all, nil
	default:
		text, err := scalar(node)
		return []string{text}, err
	}
}

func scalar(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, nil
	case *ast.NullNode:
		return "", errors.New("the value is missing")
	}
	return "", fmt.Errorf("expected a value, not a %s", strings.ToLower(node.Type().String()))
}

// fileError adds the place and the lines around it.
func fileError(name string, node ast.Node, err error) error {
	return placed(name, node.GetToken(), err)
}

func syntaxError(name string, err error) error {
	if e, ok := errors.AsType[yaml.Error](err); ok {
		return placed(name, e.GetToken(), errors.New(e.GetMessage()))
	}
	return fmt.Errorf("%s: %w", name, err)
}

func placed(name string, tk *token.Token, err error) error {
	var p printer.Printer
	lines := strings.TrimRight(p.PrintErrorToken(tk, false), "\n")
	return fmt.Errorf("%s:%d: %w\n%s", name, tk.Position.Line, err, maskLines(lines))
}
