package delegate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
)

// containers are those that have NICs here.
type containers []string

func (c containers) Holds(id string) bool { return slices.Contains(c, id) }
func (containers) Attach(context.Context, network.Interface) error {
	return errors.New("not asked for here")
}
func (containers) Detach(context.Context, string, string) error { return nil }
func (containers) Attached() iter.Seq[table.Attachment]         { return func(func(table.Attachment) bool) {} }

// yard is a node with plugins that note what they are told.
type yard struct {
	*testing.T
	*Delegates
	db    *state.DB
	notes string
}

func newYard(t *testing.T) *yard {
	_, db := table.New()
	dir := t.TempDir()
	y := &yard{T: t, db: db, notes: filepath.Join(dir, "notes")}
	for _, name := range []string{"old", "checked", "new", "sour"} {
		end := ""
		if name == "sour" {
			end = `echo '{"code": 50, "msg": "the switch is off"}'; exit 1` + "\n"
		}
		script := "#!/bin/sh\n" +
			`if [ "$CNI_COMMAND" = VERSION ]; then echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}'; exit; fi` + "\n" +
			`text=$(cat); echo "` + name + ` $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $text" >> ` + y.notes + "\n" + end
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(Options{DB: db, StateDir: filepath.Join(dir, "state"), Path: []string{dir}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	y.Delegates = d
	d.Serve(containers{"c1", "c2"})
	return y
}

// has puts a NIC in place that a plugin has made.
func (y *yard) has(container, ifname, plugin, version string, pending bool, more string) {
	y.Helper()
	i := network.Interface{
		ContainerID: container, First: "eth0", Interface: ifname, Netns: "/run/netns/" + container, Namespace: "plant", Pod: "press", Definition: "plant/" + plugin, Type: plugin,
		Config: fmt.Sprintf(`{"cniVersion": %q, "name": "lan"%s, "plugins": [{"type": %q}]}`, version, more, plugin),
	}
	if err := y.put(record{Version: 1, Pending: pending, Made: network.Made{Want: i}}); err != nil {
		y.Fatal(err)
	}
	if err := y.db.Write(func(tx *state.Tx) error { network.Interfaces.Put(tx, i); return nil }); err != nil {
		y.Fatal(err)
	}
}

// told are the calls since it was asked last: plugin, command, container, interface.
func (y *yard) told() (calls, configs []string) {
	text, _ := os.ReadFile(y.notes)
	_ = os.Remove(y.notes)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		call, config, _ := strings.Cut(line, "{")
		if line != "" {
			calls, configs = append(calls, strings.Join(strings.Fields(call), " ")), append(configs, "{"+config)
		}
	}
	return calls, configs
}

func TestCHECKReachesPluginsFromTheVersionThatTheirDefinitionStates(t *testing.T) {
	y := newYard(t)
	y.has("c1", "net1", "old", "0.3.1", false, "")
	y.has("c1", "net2", "checked", "0.4.0", false, "")
	y.has("c1", "net3", "new", "1.1.0", false, "")
	y.has("c1", "net4", "new", "1.1.0", false, `, "disableCheck": true`)
	y.has("c2", "net1", "new", "1.1.0", false, "")
	if err := y.Check(t.Context(), "c1", "eth0"); err != nil {
		t.Fatal(err)
	}
	if calls, _ := y.told(); !slices.Equal(calls, []string{"checked CHECK c1 net2", "new CHECK c1 net3"}) {
		t.Errorf("called: %q", calls)
	}
	y.has("c1", "net5", "sour", "1.0.0", false, "")
	if err := y.Check(t.Context(), "c1", "eth0"); err == nil || err.Error() != "NIC net5 (plant/sour): CHECK by sour: the switch is off" {
		t.Error(err)
	}
	y.has("c2", "net2", "old", "0.3.1", true, "")
	if err := y.Check(t.Context(), "c2", "eth0"); err == nil || err.Error() != "NIC net2 (plant/old) is not there" {
		t.Error(err)
	}
}

func TestSTATUSReachesPluginsFromTheVersionThatTheirDefinitionStates(t *testing.T) {
	y := newYard(t)
	y.has("c1", "net1", "sour", "1.0.0", false, "")
	y.has("c1", "net2", "new", "1.1.0", false, "")
	y.has("c2", "net1", "new", "1.1.0", false, "")
	impaired := func() (list []string) {
		if err := y.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range network.Impairments.All(y.db.Snapshot()) {
			list = append(list, strings.Join(i.Row(), " | "))
		}
		return list
	}
	if got := impaired(); len(got) != 0 {
		t.Errorf("impaired: %q", got)
	}
	if calls, _ := y.told(); !slices.Equal(calls, []string{"new STATUS"}) {
		t.Errorf("called: %q", calls)
	}
	y.has("c2", "net2", "sour", "1.1.0", false, "")
	if got := impaired(); !slices.Equal(got, []string{"plant/sour | sour | STATUS of sour: the switch is off"}) {
		t.Errorf("impaired: %q", got)
	}
	r, _ := y.find(network.Interface{ContainerID: "c2", Interface: "net2"})
	if err := y.drop(r); err != nil {
		t.Fatal(err)
	}
	if got := impaired(); len(got) != 0 {
		t.Errorf("its last NIC is gone, and it is impaired: %q", got)
	}
}

func TestPluginsAreAskedWhenTheFirstNICOfANetworkIsMadeAndWhenTheRuntimeAsks(t *testing.T) {
	y := newYard(t)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- y.Watch(ctx) }()
	// await returns when what stands in the table of impairments is that.
	await := func(want ...string) {
		t.Helper()
		for {
			s := y.db.Snapshot()
			var have []string
			for i := range network.Impairments.All(s) {
				have = append(have, i.Definition)
			}
			if network.Impairments.IsSynced(s) && slices.Equal(have, want) {
				return
			}
			<-network.Impairments.WatchAll(s)
		}
	}
	await()
	y.has("c1", "net1", "sour", "1.1.0", false, "")
	await("plant/sour")
	if err := os.WriteFile(filepath.Join(filepath.Dir(y.notes), "sour"), []byte("#!/bin/sh\nexit 0\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	y.Ask()
	await()
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestGCTellsPluginsOfEveryNICThatThereIs(t *testing.T) {
	y := newYard(t)
	y.has("c1", "net1", "old", "1.0.0", false, "")
	y.has("c1", "net2", "new", "1.1.0", false, "")
	y.has("c2", "net1", "new", "1.1.0", true, "")
	// What libcni remembers of a container that is there counts, though its record is lost; that of one which is gone is taken away.
	for _, id := range []string{"c2", "c9"} {
		text, err := json.Marshal(map[string]any{
			"kind": "cniCacheV1", "containerId": id, "ifName": "net7", "networkName": "lan", "netns": "/run/netns/" + id, "result": map[string]any{"cniVersion": "1.0.0"},
			"config": []byte(`{"cniVersion": "1.0.0", "name": "lan", "plugins": [{"type": "old"}]}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(y.StateDir, cache, "results")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "lan-"+id+"-net7"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := y.GC(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls, configs := y.told()
	if !slices.Equal(calls, []string{"old DEL c9 net7", "new GC"}) {
		t.Fatalf("called: %q", calls)
	}
	var told struct {
		Valid []struct{ ContainerID, IfName string } `json:"cni.dev/valid-attachments"`
	}
	if err := json.Unmarshal([]byte(configs[1]), &told); err != nil {
		t.Fatal(err)
	}
	var valid []string
	for _, v := range told.Valid {
		valid = append(valid, v.ContainerID+" "+v.IfName)
	}
	slices.Sort(valid)
	if want := []string{"c1 net1", "c1 net2", "c2 net1", "c2 net7"}; !slices.Equal(valid, want) {
		t.Errorf("valid are %q, want %q", valid, want)
	}
	y.calls.RLock()
	defer y.calls.RUnlock()
	if err := y.GC(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("while a NIC is made: %v", err)
	}
}
