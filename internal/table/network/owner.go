package network

import (
	"fmt"
	"strings"
)

// Owner is who keeps the addresses of a pod's NICs when the pod is gone, one of its namespace. Zero: they end with the pod.
type Owner struct {
	Machine bool   // a virtual machine: while it moves, it has a pod on two nodes; else one of a StatefulSet, which comes again under its name
	Name    string // of the machine, or of the pod
}

const (
	machine = "vm/"
	pod     = "pod/"
)

// String is like "vm/press" or "pod/db-0"; empty of the zero Owner. DHCP servers know NICs by it.
func (o Owner) String() string {
	switch {
	case o.Machine:
		return machine + o.Name
	case o.Name != "":
		return pod + o.Name
	}
	return ""
}

// MarshalText is String, as records on disk have it.
func (o Owner) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (o *Owner) UnmarshalText(text []byte) error {
	*o = Owner{}
	if len(text) == 0 {
		return nil
	}
	if name, ok := strings.CutPrefix(string(text), machine); ok {
		*o = Owner{Machine: true, Name: name}
	} else if name, ok := strings.CutPrefix(string(text), pod); ok {
		*o = Owner{Name: name}
	}
	if o.Name == "" {
		return fmt.Errorf("%q is no owner: want %sNAME or %sNAME", text, machine, pod)
	}
	return nil
}
