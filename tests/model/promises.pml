/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * promises.pml: the assertions by name, so that a violation says which promise is broken. With ONLY_Pn no
 * other one is asserted: a model that is built wrongly must break just the promise that it is about.
 */
hidden byte p4_one_content_per_dot, p5_no_acked_op_lost, p6_no_resurrection, p7_equal_clock_equal_state, p8_progress;

#ifdef ONLY_P4
#define P4(c) p4_one_content_per_dot = (c); assert(p4_one_content_per_dot)
#endif
#ifdef ONLY_P5
#define P5(c) p5_no_acked_op_lost = (c); assert(p5_no_acked_op_lost)
#endif
#ifdef ONLY_P6
#define P6(c) p6_no_resurrection = (c); assert(p6_no_resurrection)
#endif
#ifdef ONLY_P7
#define P7(c) p7_equal_clock_equal_state = (c); assert(p7_equal_clock_equal_state)
#endif
#ifdef ONLY_P8
#define P8(c) p8_progress = (c); assert(p8_progress)
#endif
#if !defined(ONLY_P4) && !defined(ONLY_P5) && !defined(ONLY_P6) && !defined(ONLY_P7) && !defined(ONLY_P8)
#define P4(c) p4_one_content_per_dot = (c); assert(p4_one_content_per_dot)
#define P5(c) p5_no_acked_op_lost = (c); assert(p5_no_acked_op_lost)
#define P6(c) p6_no_resurrection = (c); assert(p6_no_resurrection)
#define P7(c) p7_equal_clock_equal_state = (c); assert(p7_equal_clock_equal_state)
#define P8(c) p8_progress = (c); assert(p8_progress)
#endif
#ifndef P4
#define P4(c) skip
#endif
#ifndef P5
#define P5(c) skip
#endif
#ifndef P6
#define P6(c) skip
#endif
#ifndef P7
#define P7(c) skip
#endif
#ifndef P8
#define P8(c) skip
#endif
