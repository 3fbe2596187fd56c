package agent

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/datapath/probe"
	"weftnet.io/weftnet/internal/explain"
	"weftnet.io/weftnet/internal/explain/network"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

// handle adds what people ask an agent: its status and its tables.
func (a *Agent) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, a.status()) })
	mux.HandleFunc("GET /v1/tables", func(w http.ResponseWriter, _ *http.Request) {
		s := a.DB.Snapshot()
		list := []agentv1.TableInfo{}
		for _, t := range a.DB.Tables() {
			list = append(list, agentv1.TableInfo{Name: t.Name(), Rows: len(t.Rows(s)), Synced: t.Synced(s)})
		}
		writeJSON(w, list)
	})
	mux.HandleFunc("GET /v1/tables/{name}", a.table)
	mux.HandleFunc("GET "+agentv1.PathExplain, func(w http.ResponseWriter, r *http.Request) {
		answers, err := explain.Explain(a.DB.Snapshot(), a.Tables, r.FormValue("network"), r.FormValue("from"), r.FormValue("to"))
		answer(w, answers, err)
	})
	mux.HandleFunc("GET "+agentv1.PathEffective, func(w http.ResponseWriter, r *http.Request) {
		effective, err := explain.Effective(a.DB.Snapshot(), a.Tables, r.FormValue("network"), r.FormValue("of"))
		answer(w, effective, err)
	})
	mux.HandleFunc("GET "+agentv1.PathNICs, func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, network.NICs(a.DB.Snapshot(), a.Tables, r.FormValue("of")))
	})
	a.handleServices(mux)
}

// answer writes a document, or why there is none.
func answer(w http.ResponseWriter, document any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, document)
}

// table writes one table as its rows print themselves.
func (a *Agent) table(w http.ResponseWriter, r *http.Request) {
	t, ok := a.DB.Table(r.PathValue("name"))
	if !ok {
		var names []string
		for _, t := range a.DB.Tables() {
			names = append(names, t.Name())
		}
		http.Error(w, fmt.Sprintf("there is no table %q; there are %s", r.PathValue("name"), strings.Join(names, ", ")), http.StatusNotFound)
		return
	}
	s := a.DB.Snapshot()
	doc := agentv1.Table{TableInfo: agentv1.TableInfo{Name: t.Name(), Synced: t.Synced(s)}, Header: t.Header(), Cells: [][]string{}}
	for _, row := range t.Rows(s) {
		doc.Cells = append(doc.Cells, row.Row())
	}
	doc.Rows = len(doc.Cells)
	writeJSON(w, doc)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the reader has gone
}

// healthMux answers the kubelet: alive, and ready when the node serves.
func (a *Agent) healthMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := a.health(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// health says what keeps the node from taking workloads.
func (a *Agent) health() error {
	if stage := a.Stage(); stage != "" {
		return fmt.Errorf("the agent is starting: it waits for %s", stage)
	}
	return nil
}

// status is the document behind `weft status`.
func (a *Agent) status() agentv1.NodeStatus {
	s := a.DB.Snapshot()
	doc := agentv1.NodeStatus{Version: a.Version, Node: a.Node, Cluster: a.Tables.Config(s).ClusterName, Started: a.started, Ready: a.Stage() == ""}
	if stage := a.Stage(); stage != "" {
		doc.Components = append(doc.Components, agentv1.Component{Name: "start", Health: agentv1.HealthStarting, Message: "waits for " + stage})
	}
	doc.Components = append(doc.Components, a.kernel(), a.pods(s), a.mapSizes(s), a.node.Sockets(s), a.fromOutside(s))
	if c, asked := a.acceleration(s); asked {
		doc.Components = append(doc.Components, c)
	}
	if c, calls := a.multus(s); calls {
		doc.Components = append(doc.Components, c)
	}
	if c, known := relay(relayFile, a.Tables.Config(s).OpenRelay); known {
		doc.Components = append(doc.Components, c)
	}
	if c, replaced := a.proxy(s); replaced {
		doc.Components = append(doc.Components, c)
	}
	for row := range status.Statuses.All(s) {
		if row.Key != "" {
			continue
		}
		c := agentv1.Component{Name: row.Table, Health: agentv1.HealthOK, Message: row.Err}
		switch {
		case !row.Done && row.Rev == 0:
			c.Health = agentv1.HealthStarting
		case !row.Done:
			c.Health = agentv1.HealthDegraded
		}
		doc.Components = append(doc.Components, c)
	}
	if sweeper := a.node.Sweeper.Load(); sweeper != nil {
		doc.Components = append(doc.Components, sweeper.Components()...)
	}
	for _, t := range a.DB.Tables() {
		doc.Counts = append(doc.Counts, agentv1.Count{Name: t.Name(), Value: uint64(len(t.Rows(s)))})
	}
	for _, line := range a.report() {
		doc.Settings = append(doc.Settings, agentv1.Setting{Name: line.Key, Value: line.Value, State: agentv1.SettingState(line.State.String()), Note: line.Message})
		if line.Protection {
			doc.Protections = append(doc.Protections, agentv1.Protection{
				Name: line.Key, Requested: !slices.Contains([]string{"", "false", "never", "disabled"}, line.Value), By: line.Key + "=" + line.Value, Active: !line.Alarm(), Note: line.Message,
			})
		}
	}
	return doc
}

// kernel says which way of what the configuration asks for this kernel allows.
func (a *Agent) kernel() agentv1.Component {
	return kernel(a.Tables.Config(a.DB.Snapshot()), probe.TCX(), probe.Netkit())
}

func kernel(config settings.Config, tcx, netkit bool) agentv1.Component {
	c := agentv1.Component{Name: "kernel", Health: agentv1.HealthOK}
	if config.PodDevice == settings.Netkit && !netkit {
		c.Health = agentv1.HealthFailed
		c.Message = "datapath-mode=netkit, and the kernel has no netkit (Linux 6.8 and later have, with CONFIG_NETKIT): new pods get no network on this node; set datapath-mode=veth"
		return c
	}
	switch {
	case !tcx:
		c.Message = "no tcx (Linux 6.6 and later have): programs are attached by cls_bpf filters"
	case config.Classic:
		c.Message = "enable-tcx=false: programs are attached by cls_bpf filters"
	}
	return c
}

// pods names those of this node that policy does not reach.
func (a *Agent) pods(s *state.Snapshot) agentv1.Component {
	c := agentv1.Component{Name: "pods", Health: agentv1.HealthOK}
	names := []string{}
	for p := range a.Tables.Unmanaged.All(s) {
		names = append(names, p.Namespace+"/"+p.Name)
	}
	if n := len(names); n > 0 {
		if n > 3 {
			names = append(names[:3], "…")
		}
		c.Health = agentv1.HealthDegraded
		c.Message = fmt.Sprintf("%d of %d got their network from another CNI plugin, or from an agent that was uninstalled since, and no policy reaches them: delete them, to be made anew: %s",
			n, a.Tables.Pods.Len(s), strings.Join(names, ", "))
	}
	return c
}

// mapSizes names the maps that have not the size that the configuration asks for.
func (a *Agent) mapSizes(s *state.Snapshot) agentv1.Component {
	c := agentv1.Component{Name: "map sizes", Health: agentv1.HealthOK}
	var kept []string
	for row := range a.Tables.MapSizes.All(s) {
		if row.Why != "" {
			kept = append(kept, row.Text())
		}
	}
	if len(kept) > 0 {
		c.Health, c.Message = agentv1.HealthDegraded, strings.Join(kept, "; ")
	}
	return c
}

// report says what becomes of each key of the configuration.
func (a *Agent) report() []settings.Line {
	return settings.Report(a.values(a.DB.Snapshot()))
}

// values are the keys of the configuration that are set.
func (a *Agent) values(s *state.Snapshot) map[string]string {
	values := map[string]string{}
	for row := range a.Tables.Settings.All(s) {
		values[row.Name] = row.Value
	}
	return values
}
