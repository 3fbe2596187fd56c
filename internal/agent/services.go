package agent

import (
	"net/http"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/explain/service"
	"weftnet.io/weftnet/internal/explain/service/filter"
	"weftnet.io/weftnet/internal/state"
)

// handleServices adds what people ask about services.
func (a *Agent) handleServices(mux *http.ServeMux) {
	mux.HandleFunc("GET "+agentv1.PathServices, func(w http.ResponseWriter, r *http.Request) {
		chosen, err := filter.Parse(r.URL.Query())
		answer(w, a.services().List(chosen), err)
	})
	mux.HandleFunc("GET "+agentv1.PathServiceTrace, func(w http.ResponseWriter, r *http.Request) {
		trace, err := a.services().Trace(r.FormValue("from"), r.FormValue("to"), r.FormValue("protocol"))
		answer(w, trace, err)
	})
	mux.HandleFunc("GET "+agentv1.PathServiceShow, func(w http.ResponseWriter, r *http.Request) {
		detail, err := a.services().Show(r.FormValue("of"))
		answer(w, detail, err)
	})
}

// services are what questions about services are answered from.
func (a *Agent) services() service.Node {
	n := service.Node{Tables: a.Tables, Now: func() state.Reader { return a.DB.Snapshot() }}
	if m := a.maps.Load(); m != nil {
		n.Maps, n.Ways = *m, *m
	}
	return n
}
