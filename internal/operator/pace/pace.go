// Package pace says how fast the operator writes.
//
//	config = pace.Of(config)
package pace

import (
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/controller"
)

// The operator writes for all nodes at once: the status of every policy when it is upgraded, two writes for each identity
// that goes. client-go's own 5 requests a second would take minutes for that; the API server's own fairness protects it from
// more.
const (
	requestsPerSecond = 250
	requestsAtOnce    = 500
	// Writers are those of one kind at a time: a write waits for a disk or three.
	Writers = 8
)

// Of is a way to the API server with room for a cluster's writes, unless it has a pace of its own.
func Of(api *rest.Config) *rest.Config {
	c := rest.CopyConfig(api)
	if c.QPS == 0 && c.RateLimiter == nil {
		c.QPS, c.Burst = requestsPerSecond, requestsAtOnce
	}
	return c
}

// Many lets a controller judge several objects at a time.
var Many = controller.Options{MaxConcurrentReconciles: Writers}
