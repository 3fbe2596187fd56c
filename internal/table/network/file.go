package network

import (
	"strings"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// File is a CNI configuration on the node's disk, for definitions of its name that have none.
type File struct {
	Name   string // of the network, as the configuration says it; empty: Wrong
	Path   string
	Config string // as Definition has it
	Wrong  string // why the file is of no use, in words; empty: it is
}

func (File) Header() []string { return []string{"Name", "Path", "Wrong", "Config"} }

func (f File) Row() []string {
	return []string{f.Name, f.Path, f.Wrong, strings.Join(strings.Fields(f.Config), " ")}
}

// Files are those of this node. Of several of one name the first counts, by folder and by name of the file.
var Files = table.Declare("network-files", func(r File) state.Key {
	if r.Name == "" {
		return state.Join("", r.Path)
	}
	return FileKey(r.Name)
})

// FileKey is the key of the file of a network.
func FileKey(name string) state.Key { return state.Join(name, "") }
