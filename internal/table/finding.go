package table

import (
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/state"
)

// Finding is something an engine has to say to people about an object: not enforced, rejected, will not do what it seems to.
type Finding struct {
	Kind      string
	Namespace string
	Name      string
	UID       string
	Field     string
	Reason    gap.Reason
	Message   string
}

func (Finding) Header() []string { return []string{"Kind", "Namespace", "Name", "Field", "Message"} }

func (f Finding) Row() []string { return []string{f.Kind, f.Namespace, f.Name, f.Field, f.Message} }

var _ = declare(&tables.Findings, "findings", func(r Finding) state.Key { return state.Join(r.Kind, r.Namespace, r.Name, r.Field, r.Message) })
