package ui

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"time"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
)

// cursor is a place in the order of flows.
type cursor struct {
	of    observerv1.Order // unspecified: of a subscription
	at    time.Time
	given []string // UUIDs of flows of exactly that time which are before it
}

// version of the text.
const version = 1

// mostGiven is of how many flows of one time a cursor is. A client can write one, and a page is read with as many flows beside its own.
const mostGiven = 4 * mostPage

var errCursor = errors.New("it is none of this version: begin without one")

// text is a cursor as clients hold it; it is opaque to them.
func (c cursor) text() string {
	b := binary.AppendVarint([]byte{version, byte(c.of)}, c.at.UnixNano())
	for _, id := range c.given {
		b = append(binary.AppendUvarint(b, uint64(len(id))), id...)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor reads what a client holds.
func parseCursor(text string, of observerv1.Order) (c cursor, err error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < 3 || b[0] != version {
		return c, errCursor
	}
	if c.of = observerv1.Order(b[1]); c.of != of {
		return c, errors.New("it is of a request of another order, or kind: all but the cursor must be as it was")
	}
	ns, n := binary.Varint(b[2:])
	if n <= 0 || ns < 0 || ns > math.MaxInt64-int64(time.Hour) {
		return c, errCursor
	}
	c.at = time.Unix(0, ns).UTC()
	for b = b[2+n:]; len(b) > 0; {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) || len(c.given) == mostGiven {
			return c, errCursor
		}
		c.given = append(c.given, string(b[n:n+int(size)]))
		b = b[n+int(size):]
	}
	return c, nil
}
