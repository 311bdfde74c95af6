// rollout/engine.cpp
