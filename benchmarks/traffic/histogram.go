package main

import "math/bits"

// perOctave is the number of buckets between a duration and its double: 1.1 % apart.
const perOctave = 64

// histogram counts durations in nanoseconds by bucket; benchmarks/histogram.py reads it.
type histogram map[int]int

func (h histogram) add(ns int64) {
	h[bucket(ns)]++
}

func (h histogram) merge(other histogram) {
	for index, count := range other {
		h[index] += count
	}
}

// bucket is the octave times perOctave plus the place within it. Below perOctave ns all is exact.
func bucket(ns int64) int {
	if ns < perOctave {
		return int(max(ns, 0))
	}
	shift := bits.Len64(uint64(ns)) - 7 // leaves perOctave..2*perOctave-1
	return perOctave*shift + int(ns>>shift)
}
