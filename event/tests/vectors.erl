#!/usr/bin/env escript
%% -*- erlang -*-
%% Makes event/tests/vectors.txt: what Erlang's term_to_binary really writes, beside the JSON of the
%% same value.
%%
%%   apt-get install erlang-base
%%   escript event/tests/vectors.erl > event/tests/vectors.txt
%%
%% One vector a line: NAME HEX JSON. In place of the JSON stands `!` for a term that must be refused,
%% `@text COUNT X` for a text of equal letters and `@list COUNT X` for a list of equal numbers.
-mode(compile).

main(_) ->
    io:setopts([{encoding, unicode}]),
    io:format("# Written by event/tests/vectors.erl with OTP ~s: do not edit.~n",
              [erlang:system_info(otp_release)]),
    lists:foreach(fun vector/1, vectors()).

vector({Name, Term, Json}) -> vector({Name, Term, [], Json});
vector({Name, Term, Options, Json}) -> raw(Name, term_to_binary(Term, Options), Json).

raw(Name, Bytes, Json) ->
    Hex = [io_lib:format("~2.16.0b", [Byte]) || <<Byte>> <= Bytes],
    Text = case Json of refused -> "!"; _ -> Json end,
    io:format("~s ~s ~ts~n", [Name, Hex, Text]).

vectors() ->
    Long = binary:copy(<<"lorem ipsum ">>, 40),
    Members = [#{user => #{id => 302050872383242240 + N, username => <<"ada">>},
                 roles => [613426354628722689 + N], nick => nil} || N <- lists:seq(1, 40)],
    [{nil, nil, "null"},
     {null, null, "null"},
     {undefined, undefined, "\"undefined\""},
     {true, true, "true"},
     {false, false, "false"},
     {atom, online, "\"online\""},
     {atom_latin1, 'gr\x{fc}n', "\"gr\\u00fcn\""},
     {atom_wide, '\x{430}\x{434}\x{430}', "\"\\u0430\\u0434\\u0430\""},
     {atom_long, list_to_atom(lists:duplicate(255, $a)), quoted(lists:duplicate(255, $a))},
     {atom_wide_long, list_to_atom(lists:duplicate(200, 16#430)),
      quoted(lists:append(lists:duplicate(200, "\\u0430")))},
     {atom_empty, '', "\"\""},
     {zero, 0, "0"},
     {byte, 255, "255"},
     {word, 256, "256"},
     {negative, -1, "-1"},
     {int_max, 2147483647, "2147483647"},
     {int_min, -2147483648, "-2147483648"},
     {big_small, 2147483648, "2147483648"},
     {big_negative, -2147483649, "-2147483649"},
     {u53, 9007199254740993, "9007199254740993"},
     {i64_max, 9223372036854775807, "9223372036854775807"},
     {i64_min, -9223372036854775808, "-9223372036854775808"},
     {u64_max, 18446744073709551615, "18446744073709551615"},
     {beyond_u64, 18446744073709551616, "18446744073709551616"},
     {beyond_i64, -9223372036854775809, "-9223372036854775809"},
     {halfway_even, (1 bsl 80) + (1 bsl 27), integer_to_list((1 bsl 80) + (1 bsl 27))},
     {halfway_odd, (1 bsl 80) + (3 bsl 27), integer_to_list((1 bsl 80) + (3 bsl 27))},
     {above_halfway, (1 bsl 80) + (1 bsl 27) + 1, integer_to_list((1 bsl 80) + (1 bsl 27) + 1)},
     {ten_to_30, pow(10, 30), "1" ++ lists:duplicate(30, $0)},
     {large_big, pow(10, 300), "1" ++ lists:duplicate(300, $0)},
     {large_big_255, (1 bsl (8 * 100)) - 1, integer_to_list((1 bsl (8 * 100)) - 1)},
     {large_big_tag, pow(10, 700), refused},
     {float, 1.5, "1.5"},
     {float_negative, -0.1, "-0.1"},
     {float_whole, 3.0, "3"},
     {float_zero, 0.0, "0"},
     {float_minus_zero, -0.0, "0"},
     {float_tiny, 5.0e-324, "5e-324"},
     {float_huge, 1.7976931348623157e308, "1.7976931348623157e308"},
     {float_old, 1.5, [{minor_version, 0}], "1.5"},
     {float_old_third, 1/3, [{minor_version, 0}], "0.33333333333333331483"},
     {float_old_huge, 1.7976931348623157e308, [{minor_version, 0}], "1.7976931348623157e308"},
     {atom_old_utf8, '\x{430}', [{minor_version, 2}], "\"\\u0430\""},
     {atom_old_latin1, online, [{minor_version, 1}], "\"online\""},
     {binary, <<"hello">>, "\"hello\""},
     {binary_empty, <<>>, "\"\""},
     {binary_63, binary:copy(<<"x">>, 63), quoted(lists:duplicate(63, $x))},
     {binary_64, binary:copy(<<"x">>, 64), quoted(lists:duplicate(64, $x))},
     {binary_300, binary:copy(<<"x">>, 300), quoted(lists:duplicate(300, $x))},
     {binary_70000, binary:copy(<<"x">>, 70000), [compressed], "@text 70000 x"},
     {binary_unicode, <<"Grüße 🦀"/utf8>>, "\"Grüße 🦀\""},
     {binary_nul, <<"a", 0, "b">>, "\"a\\u0000b\""},
     {binary_not_utf8, <<"a", 255, "b">>, "\"a\\ufffdb\""},
     {binary_cut_utf8, <<"a", 16#f0, 16#9f, 16#a6>>, "\"a\\ufffd\""},
     {list_empty, [], "[]"},
     {list, [nil, true, 300], "[null,true,300]"},
     {list_bytes, [0, 4, 200, 255], "[0,4,200,255]"},
     {list_charlist, "abc", "[97,98,99]"},
     {list_not_bytes, [1, 256], "[1,256]"},
     {list_negative, [-1, -300], "[-1,-300]"},
     {list_long_bytes, lists:duplicate(65535, 7), [compressed], "@list 65535 7"},
     {list_longer_bytes, lists:duplicate(65536, 7), [compressed], "@list 65536 7"},
     {list_nested, [[], [[]], [[1], []]], "[[],[[]],[[1],[]]]"},
     {list_improper, [1 | 2], refused},
     {tuple, {1, nil, <<"a">>}, "[1,null,\"a\"]"},
     {tuple_empty, {}, "[]"},
     {tuple_large, list_to_tuple(lists:seq(1, 300)), "[" ++ commas(lists:seq(1, 300)) ++ "]"},
     {map_empty, #{}, "{}"},
     {map_atoms, #{id => 41, name => <<"a">>, nick => nil}, "{\"id\":\"41\",\"name\":\"a\",\"nick\":null}"},
     {map_binaries, #{<<"id">> => <<"41">>, <<"name">> => <<"a">>}, "{\"id\":\"41\",\"name\":\"a\"}"},
     {map_mixed, #{<<"id">> => 41, name => <<"a">>}, "{\"id\":\"41\",\"name\":\"a\"}"},
     {map_integer_keys, #{41 => <<"a">>, -1 => true, 302050872383242240 => nil},
      "{\"41\":\"a\",\"-1\":true,\"302050872383242240\":null}"},
     {map_struct, #{'__struct__' => 'Elixir.Discord.User', id => 41}, "{\"id\":\"41\"}"},
     {map_struct_binary, #{<<"__struct__">> => #{deep => [1]}, id => 41}, "{\"id\":\"41\"}"},
     {map_tuple_key, #{{1, 2} => 3}, refused},
     {map_float_key, #{1.5 => 3}, refused},
     {map_list_key, #{"abc" => 3}, refused},
     {map_many, maps:from_list([{integer_to_binary(N), N} || N <- lists:seq(1, 100)]),
      "{" ++ lists:append(lists:join(",", [["\"", integer_to_list(N), "\":", integer_to_list(N)]
                                            || N <- lists:seq(1, 100)])) ++ "}"},
     {unknown_key, #{never_seen_before => 1}, "{\"never_seen_before\":1}"},
     {unknown_key_wide, #{'\x{430}' => 1, 'gr\x{fc}n' => 2}, "{\"\\u0430\":1,\"gr\\u00fcn\":2}"},
     {ids_shapes, #{id => 302050872383242240, guild_id => <<"302050872383242240">>, channel_id => 7,
                    user_id => 3.0e15, owner_id => nil, parent_id => <<"x">>, role_id => -1},
      "{\"id\":\"302050872383242240\",\"guild_id\":\"302050872383242240\",\"channel_id\":\"7\","
      "\"user_id\":\"3000000000000000\",\"owner_id\":null,\"parent_id\":\"x\",\"role_id\":-1}"},
     {ids_list, #{roles => [302050872383242240, <<"7">>, 9]},
      "{\"roles\":[\"302050872383242240\",\"7\",\"9\"]}"},
     {ids_string, #{roles => [1, 2, 255]}, "{\"roles\":[\"1\",\"2\",\"255\"]}"},
     {ids_tuple, #{mention_roles => {1, 302050872383242240}},
      "{\"mention_roles\":[\"1\",\"302050872383242240\"]}"},
     {not_ids, #{nonce => <<"302050872383242240">>, custom_id => <<"7">>, code => <<"9">>},
      "{\"nonce\":\"302050872383242240\",\"custom_id\":\"7\",\"code\":\"9\"}"},
     {roles_objects, #{roles => [#{id => 41, position => 1}]},
      "{\"roles\":[{\"id\":\"41\",\"position\":1}]}"},
     {compressed, #{content => Long}, [compressed],
      "{\"content\":\"" ++ binary_to_list(Long) ++ "\"}"},
     {compressed_best, #{members => Members}, [{compressed, 9}], "{\"members\":" ++ members(40) ++ "}"},
     {members, #{members => Members}, "{\"members\":" ++ members(40) ++ "}"},
     {pid, self(), refused},
     {reference, make_ref(), refused},
     {function, fun erlang:now/0, refused},
     {closure, fun(X) -> X end, refused},
     {bits, <<1:3>>, refused},
     {inside_pid, #{content => [self()]}, refused}].

quoted(Text) -> "\"" ++ Text ++ "\"".

pow(_, 0) -> 1;
pow(Base, N) -> Base * pow(Base, N - 1).

commas(Numbers) -> lists:append(lists:join(",", [integer_to_list(N) || N <- Numbers])).

members(Count) ->
    "[" ++ lists:append(lists:join(",",
        ["{\"user\":{\"id\":\"" ++ integer_to_list(302050872383242240 + N) ++
         "\",\"username\":\"ada\"},\"roles\":[\"" ++ integer_to_list(613426354628722689 + N) ++
         "\"],\"nick\":null}" || N <- lists:seq(1, Count)])) ++ "]".
