package observe

import "fmt"

var flowsManual = `observe prints flows of this node, or of all nodes with a relay as --server, oldest first: one line for each
verdict of a policy, each dropped packet, each point that a new connection and its first answer passed, and the end of each connection.

  TIME: SOURCE (IDENTITY) -> DESTINATION (IDENTITY) TYPE VERDICT (SUMMARY)

The arrow points to the left for answers, whose ends are swapped so that the caller stays on the left, and is
<> where it is not known which is the answer. TYPE is policy-verdict:MATCH DIRECTION, the reason of a drop, or the point that was
passed: to-endpoint, to-stack, to-overlay, to-network; or close, whose summary says how a connection ended, after
how long, and what it carried. Times are UTC.

FILTERS  A flow is shown if it matches every kind of filter that is given; of one kind, any value is enough.
--pod, --vm, --namespace, --ip, --label, --service, --port and --identity match either end, their --from- and --to-
forms one end. --not negates the filter after it. A pod or service is [NAMESPACE/]PREFIX; without a namespace
(and without --namespace) it is looked for in namespace default, and /PREFIX in all. A pod's name may be that of the virtual machine
which runs in it; --vm takes such a machine's whole name. Lines name machines in the place of their pods, if the agent that saw the
flow knows them.

WHICH FLOWS  The agent keeps the last few thousand. Without --last, --first, --since, --until, --all or
--follow, the last ` + fmt.Sprint(usualLast) + ` that match are shown; of a file all.

observe fails if the agent does not answer, or a filter makes no sense. It prints "EVENTS LOST" where the node
had more events than it could keep.`

const flowsExamples = `  # what is denied in namespace shop, as it happens, and by which policies
  weft observe -f -n shop --verdict DENIED --print-policy-names

  # everything that was sent to the database, except probes from the node
  weft observe --all --to-pod shop/db --not --from-identity host

  # drops of the last five minutes that no policy asked for
  weft observe --since 5m --type drop --not --drop-reason-desc POLICY_DENIED

  # what a virtual machine sends and is sent, whichever pod it runs in
  weft observe --all --vm shop/database-vm

  # connections of the database as they end: how, after how long, packets and bytes each way
  weft observe -f --pod shop/db --type close

  # those that carried more than a megabyte
  weft observe --all --cel-expression '_flow.extensions.close.sent.bytes + _flow.extensions.close.received.bytes > 1e6'

  # all nodes of a cluster, by its relay, with kubectl -n kube-system port-forward svc/hubble-relay 4245:80
  weft observe --server 127.0.0.1:4245 -f --print-node-name

  # one agent over the network, which asks for a certificate
  weft observe --server 192.0.2.1:4244 --tls-server-name n1.default.hubble-grpc.cilium.io --tls-ca-cert-files ca.crt \
    --tls-client-cert-file tls.crt --tls-client-key-file tls.key

  # verdicts as JSON, one GetFlowsResponse a line, and the same from a file
  weft observe --last 100 --type policy-verdict -o json > flows.json
  weft observe --input-file flows.json --verdict DENIED`
