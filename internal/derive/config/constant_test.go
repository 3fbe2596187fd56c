package config

import (
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

func TestProgramsWaitForTheConstantsOfEveryFeature(t *testing.T) {
	tables, db := table.New()
	of := func(t *table.Tables) (string, []state.Input, func(state.Reader) any) {
		namespaces := state.On(t.Namespaces, func(state.Reader, table.Namespace) []state.Key { return []state.Key{table.ProgramsKey} })
		return "example", []state.Input{namespaces}, func(r state.Reader) any {
			for n := range t.Namespaces.All(r) {
				return n.Name
			}
			return nil
		}
	}
	d := NewPrograms(tables, Lives, of)
	write(db, func(tx *state.Tx) {
		routes(tables, tx, settings.Native, false)
		tables.Nodes.Put(tx, node)
		status.Statuses.Put(tx, tunnel(tables, "the port is taken")) // which a node in native mode goes without
	})
	d.Step(db)
	if p, ok := tables.Programs.One(db.Snapshot(), table.ProgramsKey); ok {
		t.Fatalf("they are told %v before a feature knows what to tell", p)
	}
	write(db, func(tx *state.Tx) { tables.Namespaces.Put(tx, table.Namespace{Name: "shop"}) })
	d.Step(db)
	p, ok := tables.Programs.One(db.Snapshot(), table.ProgramsKey)
	if lives, _ := p.Constants["lives"].(abi.CtLives); !ok || p.Constants["example"] != "shop" || lives.TcpOpening != abi.CtTcpOpeningSeconds {
		t.Errorf("they are told %v", p.Constants)
	}
}
