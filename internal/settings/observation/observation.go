// Package observation has the keys of ConfigMap cilium-config about flows and metrics, and what they say.
//
// It is a part of package settings, which joins its keys with those of other concerns; the names that others use are there.
//
//	settings.Config{Observation: observation.Observation{Hubble: true}}
package observation

import (
	"time"

	"weftnet.io/weftnet/internal/settings/key"
)

// Concern is what all of its keys are about.
const Concern key.Concern = "observation"

// Observation says where flows and metrics are served.
type Observation struct {
	Hubble       bool
	HubbleSocket string
	FlowService  FlowService
	OpenRelay    bool // the relay gives any client all flows
	Metrics      Metrics
	FlowMetrics  FlowMetrics
	Selected     []string // of the agent's metrics: -NAME is left out
	Throughput   Throughput
	Programs     time.Duration // between samples of how long programs run; 0: none
	Progress     time.Duration // between two flows that tell what a connection that goes on has carried; 0: none do
	Export       Export
	Redaction    Redaction
}

// FlowService says where flows are served over the network, and to which clients.
type FlowService struct {
	Address          string // to listen on; empty: nowhere
	Plain            bool   // without TLS, to any client
	Certificate, Key string
	ClientCAs        []string // files with the certificates by which clients are known
	IPv6             bool     // relays are given IPv6 addresses of nodes
}

// Metrics say where the agent's metrics are, and who may read them.
type Metrics struct {
	Address          string // to listen on; empty: not said
	TLS              bool
	Certificate, Key string   // files
	ClientCAs        []string // files with the certificates by which clients are known; none: any client
	Keys             string   // what the names of their keys begin with; empty: prometheus
}
