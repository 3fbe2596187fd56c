// Package e2e tests a running lab from the outside, for what the official Kubernetes tests do not ask.
//
// The world is a cluster that `weft-lab up` made: nodes 10.80.0.11… and fd00:80::11…, and beside them on the same segment a host that
// belongs to no cluster, at 10.80.0.200 and fd00:80::200. That host has no route to pods, so whatever it answers reached it under a
// node's address. Tests drive the cluster as a person would, with the programs weft-lab and kubectl.
//
// They carry the build tag e2e, since without a lab they can only fail:
//
//	weft-lab up --set webhook.enabled=true --set config.enable-host-firewall=true && go test -tags e2e ./test/e2e
package e2e
