// Package observetest is the kernel of observers in tests.
//
//	feed := observetest.NewFeed()
//	go observer.Run(ctx, feed)
//	feed.Records <- observetest.Record(abi.Event{Type: abi.EventDrop, …})
//
// Invariant: once a record was taken, the observer has done with the one before.
package observetest

import (
	"os"
	"slices"
	"sync"
	"unsafe"
)

// Feed is a source of records that a test writes.
type Feed struct {
	Records chan []byte

	closed chan struct{}
	once   sync.Once
}

// NewFeed makes one that has none.
func NewFeed() *Feed { return &Feed{Records: make(chan []byte), closed: make(chan struct{})} }

// Read implements observe.Source.
func (f *Feed) Read() (record []byte, more bool, err error) {
	select {
	case r := <-f.Records:
		return r, false, nil
	case <-f.closed:
		return nil, false, os.ErrClosed
	}
}

// Close implements observe.Source.
func (f *Feed) Close() error { f.once.Do(func() { close(f.closed) }); return nil }

// Record is an event of package abi as the kernel writes it.
func Record[E any](event E) []byte {
	return slices.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&event)), unsafe.Sizeof(event)))
}
