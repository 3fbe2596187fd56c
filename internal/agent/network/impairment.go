package network

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
)

// WarnOfImpairments tells of networks whose plugins could make no NIC on this node, in the log and, where to is not nil, as events of their definitions.
func (n *Networks) WarnOfImpairments(ctx context.Context, to Events, node string) error {
	return follow(ctx, n.Options.DB, network.Impairments, func(c state.Change[network.Impairment]) {
		log := n.Options.Log.With("definition", c.Row.Definition)
		if c.Deleted {
			log.Info("its plugins make NICs again, or have none here any more")
			return
		}
		log.Warn("its plugins could make no NIC now", "why", c.Row.Says)
		if to == nil {
			return
		}
		about := n.definition(c.Row.Definition)
		if err := to.Warn(ctx, about, "ImpairedNetwork", "node "+node+": pods that ask for it may not start: "+c.Row.Says); err != nil && ctx.Err() == nil {
			log.Warn("tell of a network whose plugins could make no NIC", "error", err)
		}
	})
}

// definition is a NetworkAttachmentDefinition (namespace/name), as events name it.
func (n *Networks) definition(title string) corev1.ObjectReference {
	namespace, name, _ := strings.Cut(title, "/")
	d, _ := network.Definitions.One(n.Options.DB.Snapshot(), table.ObjectKey(namespace, name))
	return corev1.ObjectReference{Kind: "NetworkAttachmentDefinition", APIVersion: "k8s.cni.cncf.io/v1", Namespace: namespace, Name: name, UID: types.UID(d.UID)}
}

var impaired = prometheus.NewDesc("weft_network_impaired", "1 for each NetworkAttachmentDefinition whose plugins say that they could make no NIC on this node.", []string{"definition"}, nil)

// Impaired are the networks whose plugins could make no NIC on this node, as numbers.
type Impaired struct{ DB *state.DB }

// Describe implements prometheus.Collector.
func (Impaired) Describe(out chan<- *prometheus.Desc) { out <- impaired }

// Collect implements prometheus.Collector.
func (i Impaired) Collect(out chan<- prometheus.Metric) {
	for row := range network.Impairments.All(i.DB.Snapshot()) {
		out <- prometheus.MustNewConstMetric(impaired, prometheus.GaugeValue, 1, row.Definition)
	}
}
