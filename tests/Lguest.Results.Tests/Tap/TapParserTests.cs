using Lguest.Results.Tap;

namespace Lguest.Results.Tests.Tap;

public sealed class TapParserTests
{
    [Fact]
    public void KTAP_nests_by_two_blanks()
    {
        AssertTree(
            """
            KTAP version 1
            1..2
              KTAP version 1
              1..2
                KTAP version 1
                1..2
                not ok 1 test_1
                ok 2 test_2
              not ok 1 test_3
              ok 2 test_4 # SKIP
            not ok 1 example_test_1
            ok 2 example_test_2
            """,
            """
            example_test_1: failed
              test_3: failed
                test_1: failed
                test_2: passed
              test_4: skipped
            example_test_2: passed
            """);
    }

    [Fact]
    public void KUnit_nests_by_four_blanks_and_names_its_suites_and_parameters()
    {
        AssertTree(
            """
            KTAP version 1
            1..1
                KTAP version 1
                # Subtest: example
                # module: kunit_example_test
                1..3
                # example_simple_test: initializing
                ok 1 example_simple_test
                    KTAP version 1
                    # Subtest: example_params_test
                    # example_params_test: initializing
                    ok 1 example value 2 # SKIP unsupported param value
                    ok 2 example value 1
                # example_params_test: pass:1 fail:0 skip:1 total:2
                ok 2 example_params_test
                # example_slow_test.speed: slow
                ok 3 example_slow_test
            # example: pass:3 fail:0 skip:0 total:3
            # Totals: pass:3 fail:0 skip:1 total:4
            ok 1 example
            """,
            """
            example: passed
              example_simple_test: passed
              example_params_test: passed
                example value 2: skipped (unsupported param value)
                example value 1: passed
              example_slow_test: passed
            """,
            TapSource.Kernel);
    }

    [Fact]
    public void KUnit_of_Linux_5_4_nests_by_tabs_and_puts_a_hyphen_before_names()
    {
        AssertTree(
            """
            [    0.060000][    T1] TAP version 14
            [    0.060000][    T1] 1..1
            [    0.060000][    T1] 	# Subtest: kunit-resource-test
            [    0.060000][    T1] 	1..2
            [    0.060000][    T1] 	ok 1 - init_resources
            [    0.060000][    T1] kAFS: Red Hat AFS client v0.1 registering.
            [    0.060000][    T1] 	ok 2 - alloc_resource
            [    0.060000][    T1] ok 1 - kunit-resource-test
            """,
            """
            kunit-resource-test: passed
              init_resources: passed
              alloc_resource: passed
            """,
            TapSource.Kernel);
    }

    [Fact]
    public void The_suites_of_a_module_need_no_list_around_them_and_each_module_counts_anew()
    {
        AssertTree(
            """
                # Subtest: one
                1..1
                ok 1 - a
            ok 1 - one
                KTAP version 1
                # Subtest: two
                1..1
                ok 1 a
            ok 2 two
            usb 1-1: new device
                KTAP version 1
                # Subtest: three
                1..1
                not ok 1 a
            not ok 1 three
            """,
            """
            one: passed
              a: passed
            two: passed
              a: passed
            three: failed
              a: failed
            """,
            TapSource.Kernel);
    }

    [Fact]
    public void A_module_that_follows_a_finished_list_has_a_list_of_its_own()
    {
        AssertTree(
            """
            KTAP version 1
            1..1
                # Subtest: built_in
                1..1
                ok 1 a
            ok 1 built_in
                # Subtest: module
                1..1
                ok 1 a
            ok 1 module
            """,
            """
            built_in: passed
              a: passed
            module: passed
              a: passed
            """,
            TapSource.Kernel);
    }

    [Fact]
    public void A_kselftest_is_nested_as_a_comment_of_its_runner()
    {
        AssertTree(
            """
            TAP version 13
            1..3
            # overriding timeout to 300
            # selftests: cgroup: test_core
            # TAP version 13
            # 1..2
            # ok 1 test_cgcore_internal_process_constraint
            # not ok 2 test_cgcore_populated
            # # Totals: pass:1 fail:1 xfail:0 xpass:0 skip:0 error:0
            not ok 1 selftests: cgroup: test_core # exit=1
            # selftests: mm: run_vmtests.sh
            # TAP version 13
            # # running ./hugepage-mmap
            # # TAP version 13
            # # 1..1
            # # ok 1 Read same data
            # # Totals: pass:1 fail:0
            # ok 1 hugepage-mmap
            # 1..1
            ok 2 selftests: mm: run_vmtests.sh
            # selftests: timers: nanosleep
            #
            not ok 3 selftests: timers: nanosleep # TIMEOUT 45 seconds
            """,
            """
            selftests: cgroup: test_core: failed (exit=1)
              test_cgcore_internal_process_constraint: passed
              test_cgcore_populated: failed
            selftests: mm: run_vmtests.sh: passed
              hugepage-mmap: passed
                Read same data: passed
            selftests: timers: nanosleep: timeout (45 seconds)
            """);
    }

    [Fact]
    public void Each_directive_has_its_status()
    {
        AssertTree(
            """
            TAP version 14
            1..13
            ok 1 a # SKIP no device
            not ok 2 b # SKIP no root
            not ok 3 c # TODO not written yet
            ok 4 d # TODO but it works
            not ok 5 e # XFAIL known
            ok 6 f # XFAIL as it should
            not ok 7 g # TIMEOUT 30 seconds
            not ok 8 h # ERROR no memory
            ok 9 i # skipped: by its own wish
            ok 10 j # rcode=0
            ok 11 - # SKIP without a name
            ok 12 bug #12 # SKIP with a number
            ok 13 k # error=0
            """,
            """
            a: skipped (no device)
            b: skipped (no root)
            c: todo (not written yet)
            d: passed (but it works)
            e: xfail (known)
            f: xfail (as it should)
            g: timeout (30 seconds)
            h: error (no memory)
            i: skipped (by its own wish)
            j: passed (rcode=0)
            case 11: skipped (without a name)
            bug #12: skipped (with a number)
            k: passed (error=0)
            """);
    }

    [Fact]
    public void Results_that_call_themselves_timed_out_or_in_error_never_pass()
    {
        AssertTree(
            """
            1..2
            ok 1 a # TIMEOUT
            ok 2 b # ERROR
            """,
            """
            a: timeout
            b: error
            """);
    }

    [Fact]
    public void Descriptions_and_in_TAP_numbers_may_be_missing()
    {
        AssertTree(
            """
            TAP version 13
            ok
            not ok
            ok - third
            ok 4
            1..4
            """,
            """
            case 1: passed
            case 2: failed
            third: passed
            case 4: passed
            """);
    }

    [Fact]
    public void In_the_kernels_own_form_a_result_has_a_number()
    {
        AssertTree(
            """
            KTAP version 1
            1..1
            ok then, it begins
            not ok
            ok 1 a
            """,
            "a: passed");
    }

    [Fact]
    public void Escapes_in_descriptions_are_undone()
    {
        AssertTree("1..1\nok 1 - a \\# SKIP b \\\\ c", "a # SKIP b \\ c: passed");
    }

    [Fact]
    public void A_suite_that_plans_nothing_is_skipped()
    {
        AssertTree(
            """
            TAP version 13
            1..2
            # TAP version 13
            # 1..0 # SKIP needs root
            ok 1 a
            # TAP version 13
            # 1..0 # Skipped: needs root
            not ok 2 b
            """,
            """
            a: skipped (needs root)
            b: failed
            """);
        AssertTree("TAP version 13\n1..0 # SKIP no device", "all tests: skipped (no device)");
        AssertTree("KTAP version 1\n1..0", "all tests: skipped");
    }

    [Fact]
    public void A_suite_whose_tests_are_all_skipped_is_skipped()
    {
        AssertTree(
            """
            KTAP version 1
            1..1
              KTAP version 1
              1..2
              ok 1 a # SKIP
              ok 2 b # SKIP
            ok 1 s
            """,
            """
            s: skipped
              a: skipped
              b: skipped
            """);
    }

    [Fact]
    public void A_suite_that_passes_although_a_test_of_it_failed_has_failed()
    {
        AssertTree(
            """
            KTAP version 1
            1..2
              KTAP version 1
              1..2
              ok 1 a
              not ok 2 b
            ok 1 s
              KTAP version 1
              1..1
              not ok 1 a # XFAIL
            ok 2 t
            """,
            """
            s: failed (b: failed)
              a: passed
              b: failed
            t: passed
              a: xfail
            """);
    }

    [Fact]
    public void The_plan_may_come_last()
    {
        AssertTree("TAP version 13\nok 1 a\nok 2 b\n1..2", "a: passed\nb: passed");
    }

    [Fact]
    public void A_command_may_leave_the_version_out_but_nobody_else()
    {
        const string Text = "1..1\nnot ok 1 a";
        AssertTree(Text, "a: failed");
        AssertTree(Text, "", TapSource.Kernel);
        AssertTree(Text, "", TapSource.Console);
        Assert.False(Parsed.Parse(Text, TapSource.Kernel).HasOutput);
    }

    [Fact]
    public void What_is_no_line_of_the_protocol_changes_nothing_and_is_output_of_the_test_that_runs()
    {
        TapParser parser = Parsed.Parse(
            """
            KTAP version 1
            1..3
            not ok, said the driver
            okay 1 that
            ok1 a
             not ok 1 one blank is no level
                  ok 1 neither are six
            # not ok 2 is a comment
            xok 1 a
            NOT OK 1 a
            ok 1 a
            [    1.000000] ---[ end trace ]---
            ok 2 b
            ok 3 c
            """);

        Assert.Equal("a: passed\nb: passed\nc: passed", Parsed.Tree(parser));
        Assert.Contains("said the driver", parser.Tests[0].Output, StringComparison.Ordinal);
        Assert.Contains("neither are six", parser.Tests[0].Output, StringComparison.Ordinal);
        Assert.Equal("---[ end trace ]---\n", parser.Tests[1].Output);
        Assert.Empty(parser.Tests[2].Output);
    }

    [Fact]
    public void A_block_of_YAML_belongs_to_the_result_before_it_and_holds_no_results()
    {
        TapParser parser = Parsed.Parse(
            """
            TAP version 13
            1..3
            not ok 1 a
              ---
              stack: |-
                TAP version 13
                1..7
                not ok 1 inside
              ...
            ok 2 b
              ---
              never closed: yes
            ok 3 c
            """);

        Assert.Equal("a: failed\nb: passed\nc: passed", Parsed.Tree(parser));
        Assert.Contains("not ok 1 inside", parser.Tests[0].Output, StringComparison.Ordinal);
        Assert.Equal("never closed: yes\n", parser.Tests[1].Output);
    }

    [Fact]
    public void TAP_14_names_a_nested_list_before_it()
    {
        AssertTree(
            """
            TAP version 14
            # Subtest: foo.tap
                1..2
                ok 1
                ok 2 - this passed
            ok 1 - foo.tap
            # Subtest: bar.tap
                ok 1 - object should be a Bar
                1..1
            ok 2
            1..2
            """,
            """
            foo.tap: passed
              case 1: passed
              this passed: passed
            bar.tap: passed
              object should be a Bar: passed
            """);
    }

    [Fact]
    public void A_nested_list_may_be_the_first_of_all()
    {
        AssertTree(
            """
            1..2
                1..2
                ok 1 - This is a subtest
                ok 2 - So is this
            ok 1 - First test
            ok 2 - Second test
            """,
            """
            First test: passed
              This is a subtest: passed
              So is this: passed
            Second test: passed
            """);
    }

    [Fact]
    public void Double_names_get_a_number()
    {
        AssertTree(
            "1..4\nok 1 a\nok 2 a\nok 3 a #2\nnot ok 4 a",
            "a: passed\na #2: passed\na #2 #2: passed\na #3: failed");
        AssertTree("KTAP version 1\n1..1\nok 1 a\nKTAP version 1\n1..1\nok 1 a", "a: passed\na #2: passed");
    }

    [Fact]
    public void A_level_of_printk_and_a_time_may_stand_before_each_line()
    {
        AssertTree(
            "<6>[    0.100000] KTAP version 1\n<6>[    0.100000] 1..1\n<6>[12345.100000]   KTAP version 1\n"
                + "[12345.100000]   1..1\n<14>  ok 1 a\n[12345.200000] ok 1 s\n",
            "s: passed\n  a: passed",
            TapSource.Console);
    }

    [Fact]
    public void The_test_that_runs_has_a_name_as_soon_as_anything_says_it()
    {
        Assert.Equal(["example", "case 2"], Parsed.Lines(
            "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: example\n    1..2\n    ok 1 a").Running);
        Assert.Equal(["selftests: timers: nanosleep"], Parsed.Lines(
            "TAP version 13\n1..2\nok 1 a\n# selftests: timers: nanosleep").Running);
        Assert.Equal(["selftests: net: tls", "global.splice"], Parsed.Lines(
            "TAP version 13\n1..2\n# selftests: net: tls\n# TAP version 13\n# 1..4\n# #  RUN           global.splice ...").Running);
        Assert.Empty(Parsed.Lines("KTAP version 1\n1..1\nok 1 a").Running);
        Assert.Empty(Parsed.Lines("nothing").Running);
    }

    private static void AssertTree(string text, string expected, TapSource source = TapSource.Command) =>
        Assert.Equal(expected, Parsed.Tree(Parsed.Parse(text, source)));
}
