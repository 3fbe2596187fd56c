package manifest

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// At is where a field stands: its key, or for an element of a list its first character. A path is names with dots and
// indices in brackets, spec.ingress[0].toPorts. Of a path that the text does not have, it is the deepest part that it has.
func (o *Object) At(path string) Position {
	last, at := o.node, o.node
	for path != "" && at != nil {
		at, last, path = step(at, last, path)
	}
	return o.position(last)
}

// Written is a scalar of a mapping as the text has it, with its key: what JSON makes of `n` and 1.10 is something else. False:
// there is none, or the object is of no text.
func (o *Object) Written(path string) (key, value string, ok bool) {
	last, at := o.node, o.node
	for path != "" && at != nil {
		at, last, path = step(at, last, path)
	}
	if at == nil || last == nil || at.Kind != yaml.ScalarNode || at == last {
		return "", "", false
	}
	return last.Value, at.Value, true
}

func (o *Object) position(n *yaml.Node) Position {
	if n == nil {
		return Position{File: o.File}
	}
	return Position{o.File, o.above + n.Line, n.Column}
}

// step follows the first part of a path. Names may have dots in them: the longest key that fits is taken.
func step(at, last *yaml.Node, path string) (next, here *yaml.Node, rest string) {
	switch {
	case at.Kind == yaml.SequenceNode && path[0] == '[':
		var index int
		end := strings.IndexByte(path, ']')
		if _, err := fmt.Sscanf(path, "[%d]", &index); err != nil || end < 0 || index < 0 || index >= len(at.Content) {
			return nil, last, ""
		}
		item := at.Content[index]
		return resolve(item), item, strings.TrimPrefix(path[end+1:], ".")
	case at.Kind == yaml.MappingNode:
		length := -1
		for i := 0; i+1 < len(at.Content); i += 2 {
			key := at.Content[i].Value
			after, ok := strings.CutPrefix(path, key)
			if ok && len(key) > length && (after == "" || after[0] == '.' || after[0] == '[') {
				length = len(key)
				next, here, rest = resolve(at.Content[i+1]), at.Content[i], strings.TrimPrefix(after, ".")
			}
		}
		if length >= 0 {
			return next, here, rest
		}
	}
	return nil, last, ""
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}

type twice struct {
	node *yaml.Node
	path string
}

// duplicates finds the keys that stand twice in one mapping. What an alias stands for is looked at where it is defined.
func duplicates(n *yaml.Node, path string) (found []twice) {
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			found = append(found, duplicates(item, fmt.Sprintf("%s[%d]", path, i))...)
		}
	case yaml.MappingNode:
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			at := strings.TrimPrefix(path+"."+key.Value, ".")
			if seen[key.Value] {
				found = append(found, twice{key, at})
			}
			seen[key.Value] = true
			found = append(found, duplicates(n.Content[i+1], at)...)
		}
	}
	return found
}
