package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	kjson "sigs.k8s.io/json"
	kubeyaml "sigs.k8s.io/yaml"
)

// Position is where something stands in a file. Lines and columns begin at 1; 0: there are none, it comes from a cluster.
type Position struct {
	File   string
	Line   int
	Column int
}

func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is a document, or a part of one, that cannot be read as it stands.
type Problem struct {
	Position
	Object  *Object // nil: none could be read
	Field   string  // of a key that stands twice
	Message string
	Other   bool // it is something else than an object: values, settings of a tool, text
}

// Object is one object of a file.
type Object struct {
	File       string
	APIVersion string
	Kind       string
	Namespace  string // as written, may be empty
	Name       string
	JSON       []byte

	node  *yaml.Node
	above int // lines of the file before the document
}

// Read reads all objects of a text. The name of the file is for positions only.
func Read(file string, text []byte) (objects []*Object, problems []Problem) {
	for _, d := range split(text) {
		o, p := d.read(file)
		objects, problems = append(objects, o...), append(problems, p...)
	}
	return objects, problems
}

type document struct {
	text  []byte
	above int
}

// split cuts a text at lines that begin with "---", as kubectl does.
func split(text []byte) (documents []document) {
	var current document
	line := 0
	for each := range bytes.Lines(text) {
		line++
		if rest, ok := bytes.CutPrefix(each, []byte("---")); ok && (len(bytes.TrimSpace(rest)) == 0 || rest[0] == ' ' || rest[0] == '\t') {
			documents = append(documents, current)
			current = document{above: line}
			// What follows the mark on its line is content; most often it is a comment.
			if content := bytes.TrimSpace(rest); len(content) > 0 && content[0] != '#' {
				current = document{text: append([]byte("   "), rest...), above: line - 1}
			}
			continue
		}
		current.text = append(current.text, each...)
	}
	return append(documents, current)
}

func (d document) read(file string) (objects []*Object, problems []Problem) {
	var root yaml.Node
	if err := yaml.Unmarshal(d.text, &root); err != nil {
		return nil, []Problem{d.broken(file, err)}
	}
	if root.Kind == 0 || len(root.Content) == 0 || root.Content[0].Tag == "!!null" {
		return nil, nil // nothing but comments
	}
	text, err := kubeyaml.YAMLToJSON(d.text)
	if err != nil {
		return nil, []Problem{d.broken(file, err)}
	}
	o := &Object{File: file, JSON: text, node: root.Content[0], above: d.above}
	if o.node.Kind != yaml.MappingNode {
		return nil, []Problem{{Position: o.At(""), Message: "the document is no object: it has no apiVersion and kind", Other: true}}
	}
	o.name()
	if o.Kind == "" || o.APIVersion == "" {
		return nil, []Problem{{Position: o.At(""), Message: "the document is no object: it has no apiVersion or no kind", Other: o.Kind == "" && o.APIVersion == ""}}
	}
	for _, twice := range duplicates(o.node, "") {
		problems = append(problems, Problem{
			Position: o.position(twice.node), Object: o, Field: twice.path,
			Message: "the key stands twice in one mapping; kubectl refuses it, and what takes it keeps the last",
		})
	}
	if !strings.HasSuffix(o.Kind, "List") {
		return []*Object{o}, problems
	}
	return o.items(), problems
}

// items are the objects of a List.
func (o *Object) items() (objects []*Object) {
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	node := child(o.node, "items")
	if o.Decode(&list) != nil || node == nil || node.Kind != yaml.SequenceNode || len(node.Content) != len(list.Items) {
		return nil
	}
	for i, text := range list.Items {
		item := &Object{File: o.File, JSON: text, node: resolve(node.Content[i]), above: o.above}
		item.name()
		if item.Kind != "" {
			objects = append(objects, item)
		}
	}
	return objects
}

// Item is an element of a list that does not say of its elements what they are. It has no lines.
func Item(file, apiVersion, kind string, text []byte) (*Object, error) {
	o := &Object{File: file, JSON: text}
	if !json.Valid(text) {
		return nil, errors.New("it is no JSON")
	}
	o.name()
	o.APIVersion, o.Kind = apiVersion, kind
	return o, nil
}

// name reads what identifies the object. Whatever cannot be read stays empty.
func (o *Object) name() {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	var meta struct {
		Metadata struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"metadata"`
	}
	_ = o.Decode(&head)
	_ = o.Decode(&meta)
	o.APIVersion, o.Kind, o.Namespace, o.Name = head.APIVersion, head.Kind, meta.Metadata.Namespace, meta.Metadata.Name
}

// Decode reads it as the API server does: a field whose name is written in another case is another field.
func (o *Object) Decode(into any) error {
	return kjson.UnmarshalCaseSensitivePreserveInts(o.JSON, into)
}

// Title is kind, namespace and name: "Pod shop/web".
func (o *Object) Title() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

var lineOf = regexp.MustCompile(`line (\d+): `)

// broken is the problem of a document that the parser refuses. The parser says lines, and no columns.
func (d document) broken(file string, err error) Problem {
	message := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "), "yaml: ")
	line := 1
	for i, text := range strings.SplitAfter(string(d.text), "\n") {
		if s := strings.TrimSpace(text); s != "" && s[0] != '#' {
			line = i + 1
			break
		}
	}
	if m := lineOf.FindStringSubmatchIndex(message); m != nil {
		if n, err := strconv.Atoi(message[m[2]:m[3]]); err == nil {
			line = n
		}
		message = message[:m[0]] + message[m[1]:]
	}
	message = strings.Join(strings.Fields(strings.TrimPrefix(message, "unmarshal errors:")), " ")
	other := !bytes.Contains(d.text, []byte("apiVersion")) && !bytes.Contains(d.text, []byte("kind"))
	return Problem{Position: Position{file, d.above + line, 1}, Message: "not YAML: " + message, Other: other}
}
