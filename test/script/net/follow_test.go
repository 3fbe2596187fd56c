package net

import (
	"context"
	"errors"
	"time"

	"weftnet.io/weftnet/internal/nettest/follow"
)

// followCommands are about a client of a relay that follows all flows.
var followCommands = map[string]command{"certificates": certificates, "follow": followFlows, "followed": followed, "rejoined": rejoined}

// certificates makes those by which agents, relay and client know each other.
func certificates(l *line) (err error) {
	l.files, err = follow.Certificates(l.ts.Getenv("WORK") + "/tls")
	return err
}

// followFlows starts a relay and its client on NODE, and begins calls of FROM.
func followFlows(l *line) error {
	if len(l.args) != 3 || l.follower != nil {
		return errUsage
	}
	n, err := l.node(l.arg(0))
	if err != nil {
		return err
	}
	from, err := l.station(l.arg(1))
	if err != nil {
		return err
	}
	targets, err := l.target(l.arg(2))
	if err != nil {
		return err
	}
	if l.follower, err = follow.Start(l.ctx, n, l.files, l.Nodes()...); err != nil {
		return err
	}
	l.ts.Defer(l.follower.Close)
	return l.follower.Call(l.ctx, from, targets[0])
}

// followed ends that, and tells what became of it.
func followed(l *line) error {
	if l.follower == nil {
		return errors.New("nothing is followed")
	}
	account, err := l.follower.Stop(l.ctx)
	l.follower = nil
	return errors.Join(l.printf("%s\n", account), err)
}

// again is how long a relay may take until it speaks with an agent that is back: it asks less and less often (relay/peers), on a busy machine.
const again = 2 * time.Minute

// rejoined waits until the client was told that all nodes are there.
func rejoined(l *line) error {
	if l.follower == nil {
		return errors.New("nothing is followed")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), again)
	defer cancel()
	return l.follower.Rejoined(ctx)
}
