"""Games as other libraries know them: Gymnasium, PettingZoo, dm_env, OpenSpiel. All behind the extra `wrappers`."""
